"""The checkpoint directory: a valid Hugging Face Qwen2-Audio checkpoint, read and written."""

from q2a_core.checkpoint.directory import Checkpoint, load_model, open_checkpoint
from q2a_core.checkpoint.save import save_checkpoint
from q2a_core.checkpoint.source import resolve_source
from q2a_core.hashes import checkpoint_hash

__all__ = [
    "Checkpoint",
    "checkpoint_hash",
    "load_model",
    "open_checkpoint",
    "resolve_source",
    "save_checkpoint",
]
