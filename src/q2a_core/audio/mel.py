"""The log-mel front end of Whisper: 128 mel bins every 10 ms from 25 ms windows.

Matches transformers' WhisperFeatureExtractor on the frames that exist, without computing the 30 s that do not. Two
things must be minded. The extractor takes its maximum over the padded clip, whose first frame after the end still sees
half a window of the clip's tail: it is among those that the encoder reads. And it works in fp32: 80 dB below a pure
tone its rounding reaches 5e-5, so the same transform in the same precision is used here instead of a more exact one.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from q2a_core.lengths import HOP_LENGTH, N_FFT, SAMPLE_RATE, conv_mel_frames, mel_frames

NUM_MELS = 128
"""Mel bins that Qwen2-Audio hears."""
WINDOW_FRAMES = 3000
"""Mel frames in the 30 s window of the published model."""
DYNAMIC_RANGE = 8.0
"""Powers of ten below the loudest bin at which everything quieter is cut off (80 dB)."""


@lru_cache(maxsize=8)
def mel_filters(num_mels: int = NUM_MELS, n_fft: int = N_FFT) -> Tensor:
    """Triangular filters (n_fft/2 + 1, M) on the Slaney mel scale, each of equal area; equals `librosa.filters.mel`.

    The model's windows give 201 rows. A filter narrower than a bin of the spectrum may hear nothing.
    """
    edges = _mel_to_hertz(np.linspace(0.0, _hertz_to_mel(SAMPLE_RATE / 2), num_mels + 2))
    bins = np.linspace(0, SAMPLE_RATE / 2, n_fft // 2 + 1)
    width = np.diff(edges)
    rising = (bins[:, None] - edges[None, :-2]) / width[None, :-1]
    falling = (edges[None, 2:] - bins[:, None]) / width[None, 1:]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    with torch.inference_mode(False):  # kept for all: whoever comes first may be without gradients
        return torch.from_numpy(filters.astype(np.float32))


def mel_centres(num_mels: int = NUM_MELS) -> np.ndarray:
    """Centre frequencies (M,) of the filters in Hz."""
    return _mel_to_hertz(np.linspace(0.0, _hertz_to_mel(SAMPLE_RATE / 2), num_mels + 2))[1:-1]


def log_mel(
    samples: np.ndarray | Tensor, *, num_mels: int = NUM_MELS, max_frames: int = WINDOW_FRAMES
) -> Tensor:
    """Log-mel (M, F) of a 16 kHz mono clip (S,), fp32 on the CPU.

    F counts the clip's own `lengths.mel_frames(S)` frames and the one or two after them that the encoder's convolutions
    read, up to `max_frames`, the window. The range is 2 below the clip's maximum; all-zero audio gives -1.5.
    Raises ValueError for a clip longer than the window: callers refuse or split before.
    """
    if isinstance(samples, np.ndarray) and min(samples.strides, default=0) < 0:
        samples = samples.copy()  # played backwards; torch reads forwards
    waveform = torch.as_tensor(samples, dtype=torch.float32)
    frames = mel_frames(len(waveform)) if waveform.ndim == 1 else 0
    if not 0 < frames <= max_frames:
        raise ValueError(
            f"expected mono samples (S,) of 1 to {max_frames} mel frames; found shape {tuple(waveform.shape)}"
        )
    frames = min(conv_mel_frames(frames), max_frames)
    power = power_spectrogram(waveform, frames=frames, window=max_frames * HOP_LENGTH)
    log_power = power.new_empty(num_mels, power.shape[1])
    for filters, rows, bins in _filter_bands(num_mels):
        log_power[rows] = filters @ power[bins]
    log_power.clamp_(min=1e-10).log10_()
    log_power = torch.maximum(log_power, log_power.max() - DYNAMIC_RANGE)
    return log_power.add_(4.0).div_(4.0)


def power_spectrogram(waveform: Tensor, *, frames: int, window: int) -> Tensor:
    """|STFT|^2 (201, frames), Hann window, centred frames; the clip lies at the start of `window` samples of silence.

    Both ends of the window are mirrored, so that the frames there are not half empty.
    """
    half = N_FFT // 2
    # samples that the last frame reads
    needed = min((frames - 1) * HOP_LENGTH + half, window + half)
    padded = waveform.new_zeros(half + needed)
    inside = min(len(waveform), needed)
    padded[half : half + inside] = waveform[:inside]
    padded[:half] = padded[half + 1 : 2 * half + 1].flip(0)
    beyond = needed - window
    if beyond > 0:
        end = half + window
        padded[end:] = padded[end - 1 - beyond : end - 1].flip(0)
    # torch.stft and abs() ** 2 give the same and take twice as long; both parts are squared where they lie
    spectrum = torch.fft.rfft(padded.unfold(0, N_FFT, HOP_LENGTH)[:frames] * _hann())
    squares = torch.view_as_real(spectrum).square_()
    return (squares[..., 0] + squares[..., 1]).T


def stack_mels(mels: list[Tensor]) -> Tensor:
    """Pad clips (M, F_n) with zeros to the longest and stack them (N, M, F); the encoder never reads the padding."""
    stacked = mels[0].new_zeros(len(mels), mels[0].shape[0], max(mel.shape[1] for mel in mels))
    for row, mel in zip(stacked, mels, strict=True):
        row[:, : mel.shape[1]] = mel
    return stacked


@lru_cache(maxsize=8)
def _filter_bands(num_mels: int) -> list[tuple[Tensor, slice, slice]]:
    """The filters by quarters, low to high: the non-zero part (m, bins), its rows of the mel, its bins of the spectrum.

    A filter hears a few bins only: three quarters of one product with all 201 would be zeros.
    """
    with torch.inference_mode(False):
        every = mel_filters(num_mels).T
        bands = []
        for numbers in torch.arange(num_mels).tensor_split(min(4, num_mels)):
            rows = slice(int(numbers[0]), int(numbers[-1]) + 1)
            heard = every[rows].any(dim=0).nonzero().flatten().tolist() or [0]
            bins = slice(heard[0], heard[-1] + 1)
            bands.append((every[rows, bins].contiguous(), rows, bins))
        return bands


@lru_cache(maxsize=1)
def _hann() -> Tensor:
    with torch.inference_mode(False):
        return torch.hann_window(N_FFT, dtype=torch.float32)


def _hertz_to_mel(hertz: float) -> float:
    """Slaney's scale: linear below 1 kHz, logarithmic above."""
    return hertz / (200 / 3) if hertz < 1000 else 15 + np.log(hertz / 1000) / (np.log(6.4) / 27)


def _mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * (200 / 3), 1000 * np.exp((mel - 15) * (np.log(6.4) / 27)))
