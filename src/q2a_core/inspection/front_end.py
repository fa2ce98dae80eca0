"""The front end as an experiment: other mel settings, the picture they give, and the sound that can be had back.

A log-mel keeps no phase, and only as much of the spectrum as its bands tell apart. Two steps make a sound of it again:
least squares from the bands to a spectrum, and librosa's Griffin-Lim to find phases that agree with one another. What
is missing in the result is what the model never hears. librosa is imported when called.
"""

from dataclasses import dataclass

import numpy as np

from q2a_core import lengths
from q2a_core.errors import Q2AError
from q2a_core.inspection.trace import ClipView, envelope, full_scale_of, mel_ticks, spread

N_FFT_CHOICES = (200, 400, 800, 1600)
"""Samples per window: 12.5, 25, 50 and 100 ms."""
HOP_CHOICES = (80, 160, 320, 640)
"""Samples between windows: 5, 10, 20 and 40 ms."""
NUM_MELS_CHOICES = (8, 16, 32, 64, 80, 128)
"""Mel bands; Whisper's first models had 80."""
ROUNDS = 32
"""Rounds of Griffin-Lim."""
SMALLEST = 1e-3
"""Singular values of the filters that count, as a share of the largest: those that carry sound are 0.1 of it and more.
What bands that hear nothing leave is below 1e-5, and its inverse noise."""
MAX_SECONDS = 10.0
"""Longer clips are cut for the experiment, so that it stays quick."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MelSettings:
    """How a log-mel is made; the defaults are the model's."""

    n_fft: int = lengths.N_FFT
    """Samples per window."""
    hop_length: int = lengths.HOP_LENGTH
    """Samples between two windows."""
    num_mels: int = 128
    """Mel bands (M)."""

    def __post_init__(self) -> None:
        if self.hop_length > self.n_fft:
            raise Q2AError(
                f"a hop of {self.hop_length} samples leaves gaps between windows of {self.n_fft}: part of the sound is "
                "in no mel frame at all. Choose a hop that is no longer than the window"
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Resynthesis:
    """What some mel settings keep of a clip, to see and to hear."""

    settings: MelSettings
    view: ClipView
    """The log-mel under these settings; its waveform is the resynthesised one."""
    samples: np.ndarray
    """(S,) float32 at 16 kHz, made from the log-mel alone."""
    silent_bands: int
    """Bands that fall between two bins of the spectrum and so hear nothing."""
    distance: float
    """Mean difference in dB between the model's own log-mels of the clip and of the resynthesis."""


def resynthesise(samples: np.ndarray, settings: MelSettings, *, seed: int = 0) -> Resynthesis:
    """The log-mel of a 16 kHz clip (S,) under `settings`, and the sound made of it; at most `MAX_SECONDS` of it.

    Griffin-Lim starts from random phases; `seed` makes them the same every time.
    """
    import librosa

    from q2a_core.audio.mel import log_mel, mel_filters

    samples = np.asarray(samples[: round(MAX_SECONDS * lengths.SAMPLE_RATE)], dtype=np.float32)
    filters = mel_filters(settings.num_mels, settings.n_fft).numpy()
    # librosa warns of a clip shorter than its window: silence follows
    padded = np.pad(samples, (0, max(0, settings.n_fft - len(samples))))
    log_power = log_bands(padded, settings)
    # it centres its frames on the hops and wants one more where the clip ends with a hop
    centred = log_power[:, : 1 + len(padded) // settings.hop_length]
    # cut off at zero; librosa's non-negative least squares come as near, three times slower
    bands_to_bins = np.linalg.pinv(filters.T, rcond=SMALLEST)
    spectrum = np.maximum(bands_to_bins @ 10.0**centred, 0.0)
    sound = librosa.griffinlim(
        np.sqrt(spectrum),
        n_iter=ROUNDS,
        n_fft=settings.n_fft,
        hop_length=settings.hop_length,
        length=len(padded),
        random_state=seed,
    )[: len(samples)].astype(np.float32)
    sound /= max(1.0, float(np.abs(sound).max()))
    frames = lengths.mel_frames(len(samples))
    heard = [log_mel(values)[:, :frames].numpy() for values in (samples, sound)]
    return Resynthesis(
        settings=settings,
        view=_view(sound, log_power, settings),
        samples=sound,
        silent_bands=int((filters.sum(axis=0) == 0).sum()),
        distance=float(40.0 * np.abs(heard[0] - heard[1]).mean()),
    )


def view_under(samples: np.ndarray, settings: MelSettings) -> ClipView:
    """A 16 kHz clip (S,) with its log-mel under `settings`, without a resynthesis; at most `MAX_SECONDS` of it."""
    samples = np.asarray(samples[: round(MAX_SECONDS * lengths.SAMPLE_RATE)], dtype=np.float32)
    padded = np.pad(samples, (0, max(0, settings.n_fft - len(samples))))
    return _view(samples, log_bands(padded, settings), settings)


def _view(samples: np.ndarray, log_power: np.ndarray, settings: MelSettings) -> ClipView:
    frames = lengths.mel_frames(len(samples), settings.hop_length)
    mel, mel_range = spread((log_power[:, :frames] + 4.0) / 4.0)
    full_scale = full_scale_of(samples)
    return ClipView(
        samples=len(samples),
        envelope=envelope(samples, full_scale=full_scale),
        full_scale=full_scale,
        mel=mel,
        mel_range=mel_range,
        mel_ticks=mel_ticks(settings.num_mels),
        hop_length=settings.hop_length,
        n_fft=settings.n_fft,
    )


def log_bands(samples: np.ndarray, settings: MelSettings) -> np.ndarray:
    """log10 of the power (M, F) in each mel band, cut off 80 dB below the loudest.

    F counts the started hops and those after them whose window still touches the clip. With the model's settings
    (x + 4) / 4 is the log-mel of `audio.mel`, whose steps these are.
    """
    import librosa

    from q2a_core.audio.mel import DYNAMIC_RANGE, mel_filters

    half, hop = settings.n_fft // 2, settings.hop_length
    frames = lengths.mel_frames(len(samples), hop) + -(-half // hop)
    padded = np.pad(samples, (0, (frames - 1) * hop + 2 * half - len(samples)))
    padded = np.concatenate([padded[half:0:-1], padded])
    spectrum = librosa.stft(padded, n_fft=settings.n_fft, hop_length=hop, center=False)
    filters = mel_filters(settings.num_mels, settings.n_fft).numpy()
    power = filters.T @ np.abs(spectrum[:, :frames]) ** 2
    log_power = np.log10(np.maximum(power, 1e-10))
    return np.maximum(log_power, log_power.max() - DYNAMIC_RANGE)
