"""q2a_core: Qwen2-Audio (arXiv 2407.10759), written to be read, taken apart and trained small.

    waveform (N,S) -> mel (N,M,F) 100 Hz -> encoder_frames (N,E,C) 50 Hz -> audio_tokens (N,A,C) 25 Hz
      -> audio_embeds (N,A,D) -> merged into text_embeds (B,T,D) -> logits (B,T,V) -> text

One alphabet for shapes, in every file: N clips, B conversations (one holds any number of clips), S samples, M mel bins,
F mel frames, E encoder frames, A audio tokens, T sequence positions, C encoder width, D decoder width, H query heads,
Hkv key-value heads, Dh head width, V vocabulary.

Names below load on first use, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from q2a_core import presets
    from q2a_core.audio import Waveform, load_waveform
    from q2a_core.errors import Q2AError
    from q2a_core.inference import AudioChat, Reply
    from q2a_core.model import Qwen2Audio

__version__ = "0.1.0"
__all__ = ["AudioChat", "Q2AError", "Qwen2Audio", "Reply", "Waveform", "load_waveform", "presets"]

_HOME = {
    "AudioChat": "q2a_core.inference",
    "Q2AError": "q2a_core.errors",
    "Qwen2Audio": "q2a_core.model",
    "Reply": "q2a_core.inference",
    "Waveform": "q2a_core.audio",
    "load_waveform": "q2a_core.audio",
}


def __getattr__(name: str):
    if name == "presets":
        return import_module("q2a_core.presets")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'q2a_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
