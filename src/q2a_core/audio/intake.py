"""From blocks of any rate and channel count to mono at 16 kHz, with bounds held while the sound comes in.

Decoders and arrays call `begin` once and `feed` for each block, so no more is kept than one block at the source's
rate and the clip at 16 kHz. Headers lie: bounds are checked against what they promise, and again against what comes.
"""

import math

import numpy as np

from q2a_core.errors import AudioError
from q2a_core.lengths import MIN_SAMPLES, SAMPLE_RATE, beyond

MIN_RATE, MAX_RATE = 1_000, 384_000
"""Sample rates taken, in Hz. A header of 100 Hz would make every sample 160."""
MAX_CHANNELS = 32
MAX_SECONDS = 3_600.0
"""Longest clip loaded without a limit of the caller's own."""
MAX_VALUES = 3_600 * 48_000
"""Most samples decoded, all channels together: one hour of 48 kHz mono."""
BLOCK_VALUES = 262_144
"""Samples per block, all channels together (1 MB)."""

_OVER_SCALE = 8.0
_SILENT = 2.0**-15
"""One step of 16 bits: what stays below it is silence in most files, and the log-mel still shows it."""
_CANCELLED = 1e-4
_QUIET = 3e-3


class Intake:
    """Collects one clip; `error` and `damaged` make every complaint about it begin with its name."""

    def __init__(self, name: str, *, max_seconds: float | None):
        self.name = name
        self.notices: list[str] = []
        self.source_rate = 0
        self.channels = 0
        self.frames = 0
        self.promised_frames: int | None = None
        self.is_incomplete = False  # set by decoders, where the two lengths may not tell
        self.expected_rate: int | None = None
        self._max_seconds = MAX_SECONDS if max_seconds is None else min(max_seconds, MAX_SECONDS)
        self._resampler = None
        self._samples = np.empty(0, np.float32)
        self._length = 0
        self._peak = self._mono_peak = 0.0
        self._clipped = 0

    def error(self, what: str) -> AudioError:
        return AudioError(f"{self.name}: {what}")

    def damaged(self, container: str, reason: str) -> AudioError:
        return self.error(
            f"the {container} file is damaged or unsupported ({reason}); "
            "save or download it again, for example as 16-bit wav"
        )

    def begin(self, source_rate: int, channels: int, frames: int | None) -> None:
        """Refuse what its header alone rules out. `frames` is the promised length, `None` if nothing is promised."""
        if not MIN_RATE <= source_rate <= MAX_RATE:
            raise self.error(
                f"a sample rate of {source_rate:,} Hz; expected {MIN_RATE:,} to {MAX_RATE:,} Hz"
            )
        if not 1 <= channels <= MAX_CHANNELS:
            raise self.error(f"{channels:,} channels; expected 1 to {MAX_CHANNELS}")
        if self.expected_rate not in (None, source_rate):
            raise self.error(
                f"the file says {source_rate:,} Hz, but sample_rate={self.expected_rate:,} was given; "
                "files carry their own rate, so leave sample_rate out"
            )
        self.source_rate, self.channels, self.promised_frames = source_rate, channels, frames
        self._check_length(frames or 0)
        expected = math.ceil((frames or 0) * SAMPLE_RATE / source_rate)
        self._samples = np.empty(expected, np.float32)
        if source_rate != SAMPLE_RATE:
            self._resampler = self._make_resampler()

    def go_on(self, frames: int | None) -> None:
        """A further stream of the same rate and channels follows, whose promised length is `frames`."""
        self._check_length(self.frames + (frames or 0))
        if self.promised_frames is not None:
            self.promised_frames = None if frames is None else self.promised_frames + frames

    def feed(self, block: np.ndarray) -> None:
        """Take the next frames: float32 (S, channels) at the source's rate."""
        self._check_length(self.frames + len(block))
        self.frames += len(block)
        if not np.isfinite(block).all():
            raise self.error("holds NaN or infinite samples; expected finite values within ±1")
        self._peak = max(self._peak, float(np.abs(block).max(initial=0.0)))
        if self._peak > _OVER_SCALE:
            raise self.error(
                f"samples reach {self._peak:,.6g}, but full scale is 1.0; "
                "values meant as 16-bit integers are to be divided by 32,768 or passed as int16"
            )
        self._clipped += _count_clipped(block)
        mono = block[:, 0] if self.channels == 1 else block.mean(axis=1)
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(np.ascontiguousarray(mono))
        self._append(mono)

    def finish(self) -> np.ndarray:
        """The clip (S,), float32 mono at 16 kHz; `notices` then say what was done to it and found in it."""
        if self.frames == 0:
            raise self.error("holds no samples; expected a clip with sound in it")
        if self._resampler is not None:
            self._append(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
            # soxr rounds the length; librosa, and with it transformers' loader and the official scripts, round up
            length = -(-self.frames * SAMPLE_RATE // self.source_rate)
            self._append(np.zeros(max(length - self._length, 0), np.float32))
        if self._length < MIN_SAMPLES:
            raise self.error(
                f"lasts {1000 * self.frames / self.source_rate:.3g} ms, too short for one audio token; "
                f"expected at least {MIN_SAMPLES} samples at 16 kHz ({1000 * MIN_SAMPLES / SAMPLE_RATE:.3g} ms)"
            )
        self._note_changes()
        self._note_level()
        self._samples.resize(self._length, refcheck=False)
        return self._samples

    def _append(self, mono: np.ndarray) -> None:
        start, self._length = self._length, self._length + len(mono)
        if self._length > len(self._samples):  # in place: an hour is 230 MB, once is enough
            self._samples.resize(self._length + self._length // 4, refcheck=False)
        self._samples[start : self._length] = mono
        self._mono_peak = max(self._mono_peak, float(np.abs(mono).max(initial=0.0)))

    def _check_length(self, frames: int) -> None:
        seconds = frames / self.source_rate
        if seconds > self._max_seconds:
            lasts = beyond(seconds, self._max_seconds)
            raise self.error(
                f"lasts at least {lasts}; at most {_seconds(self._max_seconds)} are taken. "
                "Cut it into shorter clips"
            )
        if frames * self.channels > MAX_VALUES:
            raise self.error(
                f"{_seconds(seconds)} of {self.channels} channels at {self.source_rate:,} Hz are "
                f"{frames * self.channels / 1e6:,.0f} million samples; at most {MAX_VALUES / 1e6:,.0f} million are "
                "decoded. Cut it shorter, or save it with fewer channels or a lower rate"
            )

    def _make_resampler(self):
        try:
            import soxr
        except ImportError as error:
            raise self.error(
                f"is at {self.source_rate:,} Hz, and resampling to 16 kHz needs soxr: pip install soxr"
            ) from error
        return soxr.ResampleStream(self.source_rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")

    def _note_changes(self) -> None:
        promised = self.promised_frames
        if promised is not None and self.frames < promised * 0.999:
            self.notices.append(
                f"the file is truncated or damaged: its header promises {_seconds(promised / self.source_rate)}, "
                f"{_seconds(self.frames / self.source_rate)} could be read"
            )
        elif self.is_incomplete:
            self.notices.append(
                "the file is truncated or damaged: a part of it is missing, "
                f"{_seconds(self.frames / self.source_rate)} could be read"
            )
        if self.channels > 1:
            self.notices.append(f"{self.channels} channels were averaged")
        if self.source_rate != SAMPLE_RATE:
            bound = (
                f"; nothing above {self.source_rate // 2:,} Hz is in it"
                if self.source_rate < SAMPLE_RATE
                else ""
            )
            self.notices.append(f"resampled from {self.source_rate:,} Hz{bound}")

    def _note_level(self) -> None:
        mono_peak = self._mono_peak
        if mono_peak < _CANCELLED and self._peak >= _QUIET:
            self.notices.append("the channels cancel each other: their average is silent")
        elif mono_peak < _SILENT:
            self.notices.append("the clip is silent")
        elif mono_peak < _QUIET:
            self.notices.append(
                f"the clip is very quiet: its peak is {20 * math.log10(mono_peak):.0f} dB of full scale"
            )
        if self._peak > 1.5:  # lossy codecs overshoot full scale a little
            self.notices.append(f"samples reach {self._peak:.3g}, beyond full scale (1.0)")
        elif self._clipped:
            self.notices.append(f"{self._clipped:,} clipped samples: the recording was too loud")


def _count_clipped(block: np.ndarray) -> int:
    """Samples near full scale that begin a run of four equal ones: flat tops, not mere peaks."""
    if len(block) < 4:
        return 0
    held = (block[1:] == block[:-1]) & (np.abs(block[1:]) >= 0.98)
    return int((held[2:] & held[1:-1] & held[:-2]).sum())


def _seconds(seconds: float) -> str:
    return f"{seconds:,.2f} s".replace(".00 s", " s")
