"""The clips of one turn, however they are given, read and fitted to what the model hears at once."""

from dataclasses import replace
from typing import Any

import numpy as np

from q2a_core import lengths
from q2a_core.audio import Waveform, load_waveform
from q2a_core.audio.source import is_file_like
from q2a_core.errors import ChatError, TooLongError

Clip = Any
"""A path, bytes, a file, a Waveform, or an array that comes with a sample rate."""


def read_clips(
    audio: Clip | list[Clip] | None,
    *,
    window: int,
    sample_rate: int | None = None,
    split: str | None = None,
) -> list[Waveform]:
    """The waveforms of a turn, none longer than `window` samples; `sample_rate` goes with arrays.

    A longer clip is refused with TooLongError, or with `split="window"` cut into several. Raises AudioError, and
    ChatError for another `split`.
    """
    if split not in (None, "window"):
        raise ChatError(f"split is {split!r}; expected None (refuse long clips) or 'window'")
    clips = [] if audio is None else list(audio) if _is_list_of_clips(audio) else [audio]
    return [
        piece
        for clip in clips
        for piece in _fit(_read_clip(clip, sample_rate), window, split=split is not None)
    ]


def _fit(waveform: Waveform, window: int, *, split: bool) -> list[Waveform]:
    count = len(waveform.samples)
    if count <= window:
        return [waveform]
    if not split:
        most = window / lengths.SAMPLE_RATE
        raise TooLongError(
            f"{waveform.name} lasts {lengths.beyond(waveform.seconds, most)}; the model hears {most:g} s at "
            "once. Cut the clip, or have it split into several clips of one turn"
        )
    pieces = lengths.pieces(count, window)
    notice = f"{waveform.name} was cut into {len(pieces)} clips"
    return [
        replace(waveform, samples=waveform.samples[a:b], notices=(*waveform.notices, notice))
        for a, b in pieces
    ]


def _read_clip(clip: Clip, sample_rate: int | None) -> Waveform:
    carries_rate = isinstance(clip, Waveform) or is_file_like(clip)
    return load_waveform(clip, sample_rate=None if carries_rate else sample_rate)


def _is_list_of_clips(audio: Clip) -> bool:
    """A list of numbers is one clip; a list of anything else is several."""
    return isinstance(audio, (list, tuple)) and not (
        len(audio) and isinstance(audio[0], (int, float, np.number))
    )
