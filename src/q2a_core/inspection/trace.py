"""What a clip becomes on its way into the model, kept for drawing: computed live, or recorded beside the shipped clips.

A recorded trace is one npz of plain arrays (never pickled) with a JSON head, so the first picture needs no torch.
Computing one does: `view_clip` and `record_trace` import it when called. The time axis is the model's own, 16 kHz mono.
"""

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from q2a_core import lengths
from q2a_core.config import EncoderConfig
from q2a_core.errors import Q2AError
from q2a_core.hashes import content_hash
from q2a_core.inspection.wording import counted

if TYPE_CHECKING:
    from q2a_core.audio import Waveform
    from q2a_core.inference import AudioChat

TRACE_VERSION = 1
"""Raised when a reader of the old format would misread a new file."""
CLIP_DIGITS = 16
"""Hex digits of a sound file's `content_hash` that a trace holds."""
WINDOW_SAMPLES = EncoderConfig().max_samples
"""What the encoder's attention sees at once; a longer clip is heard in pieces, as `lengths.pieces` has them."""
ENVELOPE_SLICES = 1200
"""Columns of the waveform picture; about the pixels it is drawn on."""
FAINT = 2.0**-7
"""A peak below which 16 bits have fewer than 256 steps for a clip."""
TICK_HERTZ = (500, 1000, 2000, 4000)
"""Frequencies marked on the mel axis."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipView:
    """One clip as its pictures need it."""

    samples: int
    """Length at 16 kHz."""
    envelope: np.ndarray
    """(2, P) int16: the lowest and the highest sample of each of P equal slices, in units of `full_scale` / 32768."""
    mel: np.ndarray
    """(M, F) uint8 log-mel, `mel_range` spread over 0 to 255; F is `lengths.mel_frames` of the clip, or of its pieces
    together."""
    mel_range: tuple[float, float]
    """The log-mel values that 0 and 255 stand for."""
    mel_ticks: tuple[tuple[float, float], ...]
    """(kHz, position in mel bins) of the marks on the mel axis."""
    hop_length: int = lengths.HOP_LENGTH
    """Samples between two mel frames; the model's, except in an experiment."""
    n_fft: int = lengths.N_FFT
    """Samples that one mel frame reads."""
    full_scale: float = 1.0
    """What `full_scale_of` says of the samples."""

    @property
    def seconds(self) -> float:
        return self.samples / lengths.SAMPLE_RATE

    @property
    def peak(self) -> float:
        """The largest absolute sample, as finely as the envelope tells."""
        return int(np.abs(self.envelope.astype(np.int32)).max(initial=0)) * self.full_scale / 32768

    @property
    def audio_tokens(self) -> int:
        """Audio tokens of the clip, or of the pieces that a longer one is heard in."""
        return sum(
            lengths.audio_tokens(lengths.mel_frames(stop - start, self.hop_length))
            for start, stop in lengths.pieces(self.samples, WINDOW_SAMPLES)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedReply:
    """What a checkpoint answered when the trace was recorded."""

    question: str | None
    text: str
    confidence: float
    decoding: str
    checkpoint: str
    checkpoint_hash: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trace:
    """A clip's pictures and one recorded answer."""

    clip_hash: str
    """CLIP_DIGITS of the sound file's `content_hash`; a trace of another file is not used."""
    view: ClipView
    reply: RecordedReply | None = None


def describe_decoding(settings: Any, seed: int) -> str:
    """Decoding settings in words, for the line under a reply; takes `inference.GenerationSettings`."""
    if settings.temperature == 0:
        words = ["greedy"]
    else:
        words = [f"temperature {settings.temperature:g}"]
        words += [f"top-k {settings.top_k}"] if settings.top_k else []
        words += [f"top-p {settings.top_p:g}"] if settings.top_p < 1 else []
        words += [f"seed {seed}"]
    if settings.repetition_penalty != 1:
        words += [f"repetition penalty {settings.repetition_penalty:g}"]
    return ", ".join([*words, f"at most {counted(settings.max_new_tokens, 'token')}"])


def full_scale_of(samples: np.ndarray) -> float:
    """What 32,768 stands for where a clip (S,) is held in 16 bits: 1, or the peak if that is beyond 1 or too small.

    The model gets what lies beyond full scale, and what 16 bits would round to a few steps, so both are to be seen.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    return peak if peak > 1.0 or 0.0 < peak < FAINT else 1.0


def to_int16(samples: np.ndarray, full_scale: float = 1.0) -> np.ndarray:
    """Samples as 16-bit integers, 32,768 standing for `full_scale`."""
    return np.clip(np.rint(samples * (32768.0 / full_scale)), -32768, 32767).astype(np.int16)


def envelope(
    samples: np.ndarray, slices: int = ENVELOPE_SLICES, *, full_scale: float = 1.0
) -> np.ndarray:
    """(2, P) int16: lowest and highest of each slice of a float clip (S,); P is `slices`, or S if that is less."""
    starts = np.linspace(0, len(samples), min(slices, len(samples)), endpoint=False).astype(int)
    edges = np.stack([np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)])
    return to_int16(edges, full_scale)


def view_clip(waveform: "Waveform") -> ClipView:
    """The pictures of a clip of any length; each piece has a log-mel of its own, as a split clip is heard."""
    from q2a_core.audio.mel import NUM_MELS, log_mel

    mels = []
    for start, stop in lengths.pieces(len(waveform.samples), WINDOW_SAMPLES):
        piece = waveform.samples[start:stop]
        mels.append(log_mel(piece).numpy()[:, : lengths.mel_frames(len(piece))])
    mel, mel_range = spread(np.concatenate(mels, axis=1))
    full_scale = full_scale_of(waveform.samples)
    return ClipView(
        samples=len(waveform.samples),
        envelope=envelope(waveform.samples, full_scale=full_scale),
        full_scale=full_scale,
        mel=mel,
        mel_range=mel_range,
        mel_ticks=mel_ticks(NUM_MELS),
    )


def spread(mel: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """A log-mel as uint8, and the values that 0 and 255 stand for; all 0 where every value is the same."""
    low, high = float(mel.min()), float(mel.max())
    scaled = (mel - low) * (255 / (high - low)) if high > low else np.zeros_like(mel)
    return np.rint(scaled).astype(np.uint8), (low, high)


def mel_ticks(num_mels: int) -> tuple[tuple[float, float], ...]:
    """(kHz, position in mel bins) of the marks on a mel axis of `num_mels` bins."""
    return tuple((hertz / 1000, mel_position(hertz, num_mels)) for hertz in TICK_HERTZ)


def mel_position(hertz: float, num_mels: int) -> float:
    """Where a frequency lies on the mel axis, in bins: the balance point of the filters that hear it."""
    from q2a_core.audio.mel import mel_filters

    filters = mel_filters(num_mels).numpy()[1:-1]  # no filter hears 0 Hz or 8 kHz
    bins = filters @ np.arange(num_mels) / filters.sum(axis=1)
    spacing = lengths.SAMPLE_RATE / lengths.N_FFT
    return float(np.interp(hertz, spacing * np.arange(1, len(bins) + 1), bins))


def record_trace(chat: "AudioChat", clip: Path, *, question: str | None = None) -> Trace:
    """Compute a clip's pictures and let `chat`'s checkpoint answer `question`, or the clip alone. Raises Q2AError."""
    from q2a_core.audio import load_waveform

    waveform = load_waveform(clip)
    reply = chat.fork().ask(audio=waveform, text=question)
    return Trace(
        clip_hash=content_hash(clip.read_bytes(), CLIP_DIGITS),
        view=view_clip(waveform),
        reply=RecordedReply(
            question=question,
            text=reply.text,
            confidence=reply.confidence,
            decoding=describe_decoding(reply.settings, reply.seed),
            checkpoint=chat.checkpoint.name,
            checkpoint_hash=chat.checkpoint.hash,
        ),
    )


def write_trace(path: Path, trace: Trace) -> None:
    """Write a trace; the same trace gives the same bytes."""
    view = trace.view
    head = {
        "version": TRACE_VERSION,
        "clip_hash": trace.clip_hash,
        "samples": view.samples,
        "mel_range": view.mel_range,
        "mel_ticks": view.mel_ticks,
        "reply": asdict(trace.reply) if trace.reply else None,
    }
    if view.full_scale != 1.0:
        head["full_scale"] = view.full_scale
    path.parent.mkdir(parents=True, exist_ok=True)
    text = np.frombuffer(json.dumps(head, sort_keys=True).encode(), dtype=np.uint8)
    np.savez_compressed(path, head=text, envelope=view.envelope, mel=view.mel)


def read_trace(path: Path) -> Trace:
    """Read a recorded trace. Raises Q2AError if it is damaged or of another version."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            head = json.loads(file["head"].tobytes())
            if head["version"] != TRACE_VERSION:
                raise Q2AError(
                    f"{path.name} is a trace of version {head['version']}; expected {TRACE_VERSION}: record it again"
                )
            view = ClipView(
                samples=int(head["samples"]),
                envelope=file["envelope"],
                mel=file["mel"],
                mel_range=tuple(head["mel_range"]),
                mel_ticks=tuple((kilohertz, bin) for kilohertz, bin in head["mel_ticks"]),
                full_scale=float(head.get("full_scale", 1.0)),
            )
            reply = RecordedReply(**head["reply"]) if head["reply"] else None
            return Trace(clip_hash=head["clip_hash"], view=view, reply=reply)
    except Q2AError:
        raise
    except Exception as error:  # a damaged zip fails in a dozen ways
        raise Q2AError(f"{path.name} is no readable trace ({error}); record it again") from error
