"""Any clip a user hands over, as mono float32 at 16 kHz: the front door of the flow.

    path, bytes, open file --source, decode--> blocks --intake--> Waveform
    array with sample_rate ------------------> blocks --intake--> Waveform

What was done to the clip, or noticed in it, travels along as `notices`. Whatever cannot be used raises AudioError
with the clip's name, what was found and what was expected. Knows nothing of mel frames or of the model's window.
"""

import io
import wave
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from q2a_core.audio.decode import decode
from q2a_core.audio.intake import BLOCK_VALUES, MAX_CHANNELS, Intake
from q2a_core.audio.source import is_file_like, opened, shown_name
from q2a_core.errors import AudioError
from q2a_core.lengths import SAMPLE_RATE


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Waveform:
    """A clip as the model hears it."""

    samples: np.ndarray
    """float32 mono (S,), full scale ±1."""
    sample_rate: int = SAMPLE_RATE
    """Always 16,000 Hz."""
    source_rate: int
    """Hz before resampling."""
    channels: int
    """Channels before averaging."""
    name: str
    """Base name for display: no path, no control characters."""
    notices: tuple[str, ...] = ()
    """What was done or noticed that a user should know, one statement each."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def load_waveform(
    source: Any, *, sample_rate: int | None = None, max_seconds: float | None = None
) -> Waveform:
    """Read a clip: a path, a file's bytes, an open binary file, an array of samples, or a Waveform.

    Arrays (NumPy, torch, lists) are (S,), (S, channels) or (channels, S) and need `sample_rate`; integers are
    scaled by their full range. Files carry their own rate: a `sample_rate` that agrees with it is accepted, another
    one is refused. Open files are read from their start. A Waveform comes back as it is if its samples still are what
    this gives. Clips over `max_seconds` (by default and at most an hour) are refused before they are decoded.
    Raises AudioError for everything that cannot be used.
    """
    name = source.name if isinstance(source, Waveform) else shown_name(source)
    rate = None if sample_rate is None else _whole_rate(sample_rate, name)
    if max_seconds is not None and not (isinstance(max_seconds, Real) and max_seconds > 0):
        raise AudioError(f"{name}: max_seconds is {max_seconds!r}; expected a number above 0")
    intake = Intake(name, max_seconds=max_seconds)
    if isinstance(source, Waveform):
        intake.expected_rate = rate
        return _looked_at(source, intake)
    if is_file_like(source):
        intake.expected_rate = rate
        with opened(source, name) as file:
            decode(file, intake)
    else:
        _take_array(source, rate, intake)
    samples = intake.finish()
    return Waveform(
        samples=samples,
        source_rate=intake.source_rate,
        channels=intake.channels,
        name=name,
        notices=tuple(intake.notices),
    )


def _looked_at(waveform: Waveform, intake: Intake) -> Waveform:
    """What was loaded can be cut or computed with before it is handed over again."""
    if waveform.sample_rate != SAMPLE_RATE:
        raise intake.error(
            f"a Waveform at {waveform.sample_rate:,} Hz; expected {SAMPLE_RATE:,} Hz, "
            "hand over its samples with their sample_rate instead"
        )
    samples = np.asarray(waveform.samples)
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise intake.error(
            f"holds {samples.dtype} samples of shape {samples.shape}; expected floats within ±1, mono (S,)"
        )
    _take_array(samples, waveform.sample_rate, intake)
    intake.finish()
    return waveform


def wav_bytes(samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> bytes:
    """A PCM16 wav file of mono samples (S,): floats within ±1, or int16.

    Floats beyond full scale are clipped, where a plain cast would wrap them around. Raises AudioError for any other
    shape or type, and for NaN or infinity.
    """
    samples = np.asarray(samples)
    is_float = samples.dtype.kind == "f"
    if samples.ndim != 1 or not (is_float or samples.dtype == np.int16):
        raise AudioError(
            f"cannot write samples of shape {samples.shape} and type {samples.dtype}; "
            "expected mono (S,) of floats within ±1, or int16"
        )
    if is_float:
        if not np.isfinite(samples).all():
            raise AudioError("cannot write NaN or infinite samples; expected floats within ±1")
        # float16 would overflow here
        samples = np.clip(np.rint(samples * np.float64(32_768)), -32_768, 32_767)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, sample_rate, len(samples), "NONE", "not compressed"))
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def write_wav(
    file: str | Path | BinaryIO, samples: np.ndarray, sample_rate: int = SAMPLE_RATE
) -> None:
    """Write `wav_bytes` to a path or an open binary file; raises AudioError if the path refuses."""
    data = wav_bytes(samples, sample_rate)
    if not isinstance(file, (str, Path)):
        file.write(data)
        return
    try:
        Path(file).write_bytes(data)
    except OSError as error:
        raise AudioError(f"{shown_name(file)}: cannot be written: {error.strerror}") from error


def _take_array(source: Any, sample_rate: int | None, intake: Intake) -> None:
    frames = _frames_of(source, intake)
    if sample_rate is None:
        raise intake.error(
            "its sample rate is not known; pass sample_rate, for example sample_rate=16_000"
        )
    intake.begin(sample_rate, frames.shape[1], len(frames))
    step = max(1, BLOCK_VALUES // frames.shape[1])
    for start in range(0, len(frames), step):
        intake.feed(_to_float32(frames[start : start + step]))


def _frames_of(source: Any, intake: Intake) -> np.ndarray:
    """Array-like samples as (S, channels), in their own type."""
    if not (isinstance(source, (list, tuple)) or hasattr(source, "__array__")):
        raise AudioError(
            f"found {type(source).__name__}; expected a path, bytes, an open binary file or an array"
        )
    try:
        detach = getattr(source, "detach", None)  # a torch tensor, wherever it lives
        array = np.asarray(detach().cpu().numpy() if detach else source)
    except (TypeError, ValueError, RuntimeError) as error:
        raise intake.error(
            "cannot be made a NumPy array; expected float32 samples, (S,) or (S, channels)"
        ) from error
    if array.dtype.kind not in "fiu":
        raise intake.error(f"holds {array.dtype} values; expected floats within ±1, or integers")
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        # nobody's samples fill 64 bits: these are small integers that lost their type
        raise intake.error(
            f"holds {array.dtype} values, whose full scale is not known; "
            "expected int16 (int8, int32), or floats within ±1"
        )
    if array.size == 0:
        raise intake.error(f"is empty, shape {array.shape}; expected samples")
    if array.ndim == 1:
        return array[:, None]
    if array.ndim != 2:
        raise intake.error(
            f"has {array.ndim} dimensions; expected (S,), (S, channels) or (channels, S)"
        )
    few = min(array.shape)
    if few > MAX_CHANNELS or max(array.shape) <= MAX_CHANNELS:
        raise intake.error(
            f"samples and channels of shape {array.shape} cannot be told apart; "
            f"expected (S, channels) or (channels, S) with at most {MAX_CHANNELS} channels"
        )
    return array if array.shape[1] == few else array.T


def _to_float32(block: np.ndarray) -> np.ndarray:
    if block.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32 it becomes infinite, which is refused
            return block.astype(np.float32)
    half_range = 2.0 ** (8 * block.dtype.itemsize - 1)
    middle = half_range if block.dtype.kind == "u" else 0.0
    return ((block.astype(np.float64) - middle) / half_range).astype(np.float32)


def _whole_rate(sample_rate: Any, name: str) -> int:
    is_number = isinstance(sample_rate, (int, float, np.integer, np.floating))
    if not is_number or isinstance(sample_rate, bool) or sample_rate % 1 != 0:
        raise AudioError(
            f"{name}: sample_rate is {sample_rate!r}; expected a whole number of Hz such as 44_100"
        )
    return int(sample_rate)
