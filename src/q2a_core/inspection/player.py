"""The player: sound, waveform, log-mel and token strip on one time axis, drawn by `player.js` in any browser.

A click on a token or a mel frame plays what it stands for, what it reads or what it knows of. Streamlit mounts the same
script and style as a component; `player_html` wraps them in one self-contained document for Jupyter. Nothing is
fetched: script, style, sound and pictures travel together. Needs neither torch nor streamlit.
"""

import base64
import hashlib
import html
import json
from pathlib import Path
from typing import Any

import numpy as np

from q2a_core import lengths
from q2a_core.inspection.trace import WINDOW_SAMPLES, ClipView, to_int16
from q2a_core.inspection.wording import counted

PLAYER_HEIGHT = 534
"""Pixels that the player needs."""
SCRIPTS = ("player_parts.js", "player_sound.js", "player_pieces.js", "player.js")
SKELETON = '<div class="q2a-player"></div>'
"""What `player.js` fills; it keeps its height while empty, so that nothing jumps."""


def player_css() -> str:
    """The player's style."""
    return _asset("player.css")


def player_js() -> str:
    """The player's script: `mountPlayer(root, data)`, which keeps what it drew while `data.id` is the same."""
    return "".join(_asset(name) for name in SCRIPTS)


def player_data(
    view: ClipView, samples: np.ndarray, *, name: str, token: int | None = None
) -> dict[str, Any]:
    """What `mountPlayer` takes: JSON with the sound (S,) as 16-bit PCM and the pictures as bytes, in base64.

    32,768 stands for `fullScale` in the sound and in the waveform; a clip beyond full scale is played so much softer.
    `token` is chosen from the start. A `field` is where the samples that a token or a frame reads begin and end, in
    seconds from its own beginning; the `windows` are the parts of the clip that are heard at once.
    """
    hop, n_fft = view.hop_length, view.n_fft
    pcm = to_int16(samples, view.full_scale).astype("<i2").tobytes()
    bins, frames = view.mel.shape
    # of silence every log-mel is zeros, whatever its bands and its hop
    settings = f"{bins} {hop} {n_fft} {view.full_scale}"
    known = pcm + view.mel.tobytes() + f"{settings} {name}".encode()
    return {
        "id": hashlib.sha256(known).hexdigest()[:16],
        "name": name,
        "summary": describe_view(view, name=name),
        "seconds": view.seconds,
        "sampleRate": lengths.SAMPLE_RATE,
        "pcm": _base64(pcm),
        "fullScale": view.full_scale,
        "envelope": _base64(view.envelope.astype("<i2").tobytes()),
        "mel": {
            "bins": bins,
            "frames": frames,
            "frameSeconds": _seconds(hop),
            "field": _span(lengths.mel_frame_field(0, hop_length=hop, n_fft=n_fft)),
            "values": _base64(view.mel.tobytes()),
            "range": view.mel_range,
            "ticks": view.mel_ticks,
        },
        "tokens": {
            "count": view.audio_tokens,
            "seconds": _seconds(hop * lengths.CONV_STRIDE * lengths.POOL_STRIDE),
            "field": _span(lengths.token_receptive_field(0, hop_length=hop, n_fft=n_fft)),
            "token": token,
        },
        "windows": [_span(piece) for piece in lengths.pieces(view.samples, WINDOW_SAMPLES)],
    }


def describe_view(view: ClipView, *, name: str) -> str:
    """The pictures in words, for those who do not see them."""
    peak = f"{view.peak:.2f}" if view.peak >= 0.01 or view.peak == 0 else f"{view.peak:.2g}"
    softer = f", played {view.full_scale:.2f} times softer" if view.full_scale > 1 else ""
    low, high = view.mel_range
    bins, frames = view.mel.shape
    return (
        f"{name}: {view.seconds:.2f} seconds, {view.samples:,} samples, loudest sample {peak} of full scale{softer}; "
        f"log-mel of {bins} bins by {counted(frames, 'frame')}, values {low:.2f} to {high:.2f}; "
        f"{counted(view.audio_tokens, 'audio token')}."
    )


def player_html(view: ClipView, samples: np.ndarray, *, name: str) -> str:
    """A whole HTML document with the player in it."""
    data = json.dumps(player_data(view, samples, name=name)).replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(name)}</title><style>body{{margin:8px}}{player_css()}</style></head>"
        f"<body>{SKELETON}<script>{player_js()}\n"
        f"mountPlayer(document.querySelector('.q2a-player'), {data});</script></body></html>"
    )


class NotebookPlayer:
    """The player as a notebook shows it: in a frame of its own, without access to the page around it."""

    def __init__(self, view: ClipView, samples: np.ndarray, *, name: str = "the clip"):
        self.view, self.samples, self.name = view, samples, name

    def _repr_html_(self) -> str:
        document = html.escape(player_html(self.view, self.samples, name=self.name), quote=True)
        return (
            f'<iframe title="{html.escape(self.name, quote=True)}" sandbox="allow-scripts" srcdoc="{document}" '
            f'style="width:100%;height:{PLAYER_HEIGHT + 16}px;border:0;background:#fff"></iframe>'
        )


def _seconds(samples: int) -> float:
    return samples / lengths.SAMPLE_RATE


def _span(samples: tuple[int, int]) -> tuple[float, float]:
    return _seconds(samples[0]), _seconds(samples[1])


def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text("utf-8")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
