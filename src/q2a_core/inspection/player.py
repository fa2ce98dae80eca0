"""The player: sound, waveform, log-mel and token strip on one time axis, drawn by `player.js` in any browser.

Streamlit mounts the same two files as a component; `player_html` wraps them in one self-contained document for Jupyter.
Nothing is fetched: script, style, sound and pictures travel together. Needs neither torch nor streamlit.
"""

import base64
import hashlib
import html
import json
from pathlib import Path
from typing import Any

import numpy as np

from q2a_core import lengths
from q2a_core.inspection.trace import ClipView

PLAYER_HEIGHT = 480
"""Pixels that the player needs."""
SKELETON = '<div class="q2a-player"></div>'
"""What `player.js` fills; it keeps its height while empty, so that nothing jumps."""


def player_css() -> str:
    """The player's style."""
    return _asset("player.css")


def player_js() -> str:
    """The player's script: `mountPlayer(root, data)`, which keeps what it drew while `data.id` is the same."""
    return _asset("player.js")


def player_data(view: ClipView, samples: np.ndarray, *, name: str) -> dict[str, Any]:
    """What `mountPlayer` takes: JSON with the sound (S,) as 16-bit PCM and the pictures as bytes, in base64."""
    pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
    bins, frames = view.mel.shape
    return {
        "id": hashlib.sha256(pcm + name.encode()).hexdigest()[:16],
        "name": name,
        "summary": describe_view(view, name=name),
        "seconds": view.seconds,
        "sampleRate": lengths.SAMPLE_RATE,
        "pcm": _base64(pcm),
        "envelope": _base64(view.envelope.astype("<i2").tobytes()),
        "mel": {
            "bins": bins,
            "frames": frames,
            "frameSeconds": lengths.HOP_LENGTH / lengths.SAMPLE_RATE,
            "values": _base64(view.mel.tobytes()),
            "range": view.mel_range,
            "ticks": view.mel_ticks,
        },
        "tokens": {
            "count": view.audio_tokens,
            "seconds": lengths.SAMPLES_PER_TOKEN / lengths.SAMPLE_RATE,
        },
    }


def describe_view(view: ClipView, *, name: str) -> str:
    """The pictures in words, for those who do not see them."""
    peak = np.abs(view.envelope.astype(np.int32)).max() / 32768
    low, high = view.mel_range
    bins, frames = view.mel.shape
    return (
        f"{name}: {view.seconds:.2f} seconds, {view.samples:,} samples, loudest sample {peak:.2f} of full scale; "
        f"log-mel of {bins} bins by {frames} frames, values {low:.2f} to {high:.2f}; {view.audio_tokens} audio tokens."
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


def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text("utf-8")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
