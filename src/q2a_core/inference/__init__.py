"""Answers from a model: sampling, the decoding loop, and AudioChat, the one object that faces hold."""

from q2a_core.inference.audio_chat import AudioChat
from q2a_core.inference.generate import Generated, generate, generate_steps
from q2a_core.inference.reply import Prompt, Reply
from q2a_core.inference.sampling import GenerationSettings

__all__ = [
    "AudioChat",
    "Generated",
    "GenerationSettings",
    "Prompt",
    "Reply",
    "generate",
    "generate_steps",
]
