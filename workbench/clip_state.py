"""Clips that were picked, uploaded or recorded, and their pictures, computed once for all browser tabs.

Nothing here imports torch but the first picture of a clip that has no recorded trace.
"""

import logging
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import streamlit as st

import stand
from q2a_core.audio import Waveform, load_waveform
from q2a_core.config import EncoderConfig
from q2a_core.errors import Q2AError
from q2a_core.hashes import content_hash
from q2a_core.inspection import ClipView, Sample, Trace, recorded_trace, view_clip
from q2a_core.inspection.front_end import MelSettings, Resynthesis, resynthesise

WINDOW_SECONDS = EncoderConfig().max_seconds
"""What the published model hears at once (30 s); longer clips are cut on request."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PickedClip:
    """One clip that was picked, uploaded or recorded; it could be read."""

    key: str
    """Hash of the file; what caches and conversations are keyed by."""
    waveform: Waveform
    sample: Sample | None = None
    trace: Trace | None = None


def sample_clip(sample: Sample) -> PickedClip:
    """A shipped clip with its recorded trace. Raises Q2AError."""
    key = content_hash(sample.path.read_bytes()) if sample.path.is_file() else ""
    waveform = _waveform(key, sample.path.name, sample.path)
    try:
        trace = recorded_trace(sample)
    except Q2AError as error:
        log.warning("%s: computing it anew", error)
        trace = None
    return PickedClip(key=key, waveform=waveform, sample=sample, trace=trace)


def uploaded_clip(file: BytesIO, *, name: str | None = None) -> PickedClip:
    """An upload or a recording; its name is shown and never used as a path. Raises Q2AError."""
    key = content_hash(file.getvalue())
    if name is not None:
        file = BytesIO(file.getvalue())
        file.name = name
    return PickedClip(key=key, waveform=_waveform(key, getattr(file, "name", ""), file))


@st.cache_data(max_entries=32, show_spinner=False)
def _waveform(key: str, name: str, _source: Any) -> Waveform:
    return load_waveform(_source, max_seconds=stand.clip_seconds())


def clip_view(clip: PickedClip) -> ClipView:
    """A clip's pictures: recorded ones at once, others as soon as torch is there."""
    return clip.trace.view if clip.trace else _clip_view(clip.key, clip.waveform)


@st.cache_data(max_entries=32, show_spinner="Computing the log-mel…")
def _clip_view(key: str, _waveform: Waveform) -> ClipView:
    return view_clip(_waveform)


@st.cache_data(max_entries=64, show_spinner="Taking the log-mel and making a sound of it again…")
def _resynthesis(
    key: str, n_fft: int, hop_length: int, num_mels: int, _samples: np.ndarray
) -> Resynthesis:
    return resynthesise(
        _samples, MelSettings(n_fft=n_fft, hop_length=hop_length, num_mels=num_mels)
    )


def resynthesis(clip: PickedClip, settings: MelSettings) -> Resynthesis:
    """What these mel settings keep of a clip; computed once."""
    sizes = settings.n_fft, settings.hop_length, settings.num_mels
    return _resynthesis(clip.key, *sizes, clip.waveform.samples)
