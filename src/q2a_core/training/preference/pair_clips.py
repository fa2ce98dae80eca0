"""The clips of a list of pairs: each decoded once, checked, and kept, so that a file that goes away ends no run."""

from pathlib import Path

import numpy as np

from q2a_core import lengths
from q2a_core.errors import AudioError

KEPT_BYTES = 2**28
"""Sound that is kept, over an hour of it; every process that makes batches holds a copy."""


class PairClips:
    """What the pairs of one list hear."""

    def __init__(self) -> None:
        self._room = KEPT_BYTES
        self._lengths: dict[Path, int] = {}
        self._kept: dict[Path, np.ndarray] = {}

    def length(self, clip: Path) -> int:
        """Its samples at 16 kHz. Raises AudioError if it cannot be decoded, or is longer than the model's window."""
        if clip not in self._lengths:
            samples = self._decode(clip)
            self._lengths[clip] = len(samples)
            if samples.nbytes <= self._room:
                self._kept[clip] = samples
                self._room -= samples.nbytes
        return self._lengths[clip]

    def kept(self, clip: Path) -> np.ndarray | None:
        """The samples (S,) of a clip that was decoded; None if there was no room to keep them."""
        return self._kept.get(clip)

    def _decode(self, clip: Path) -> np.ndarray:
        from q2a_core.audio.mel import WINDOW_FRAMES
        from q2a_core.audio.waveform import load_waveform

        samples = load_waveform(clip).samples
        seconds, most = len(samples) / lengths.SAMPLE_RATE, WINDOW_FRAMES / lengths.MEL_FRAME_RATE
        if seconds > most:
            raise AudioError(
                f"the clip lasts {lengths.beyond(seconds, most)}; expected at most {most:g} s: cut it"
            )
        return samples
