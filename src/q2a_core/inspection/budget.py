"""What a clip of any length costs: samples, frames, tokens, and the memory that its keys and values keep.

The counts are `lengths`'; the window and the bytes are those of the checkpoint whose `config.json` is read. Needs
neither torch nor the weights, but where config.json leaves the precision to what the weights are stored in.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from q2a_core import lengths
from q2a_core.config import ModelConfig
from q2a_core.config_json import config_from_hf
from q2a_core.errors import CheckpointError

ITEMSIZES = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Bytes of one number, by the name that config.json gives it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dimensions:
    """A checkpoint's dimensions and the precision that it computes in."""

    config: ModelConfig
    dtype: str
    """As config.json names it, or else what its weights are stored in; one of `ITEMSIZES`."""

    def kv_bytes(self, positions: int) -> int:
        """Bytes of keys and values that `positions` positions keep."""
        return self.config.decoder.kv_bytes(positions, itemsize=ITEMSIZES[self.dtype])


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenBudget:
    """What becomes of one clip on its way into the decoder."""

    samples: int
    """At 16 kHz."""
    mel_frames: int
    encoder_frames: int
    audio_tokens: int
    """As many placeholders stand in the prompt, and as many positions the decoder reads for this clip."""
    windows: int
    """Pieces that the clip is cut into; more than one only where it is longer than the window."""
    kv_bytes: int
    """Keys and values of all decoder layers for the audio tokens; text and reply come on top."""
    padded_frames: int
    """Encoder frames that are computed where every piece is padded to the whole window, as transformers does."""

    @property
    def seconds(self) -> float:
        return self.samples / lengths.SAMPLE_RATE


def read_dimensions(directory: Path) -> Dimensions:
    """What `config.json` in a checkpoint directory says. Raises CheckpointError."""
    try:
        values = json.loads((directory / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{directory} has no readable config.json ({error})") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"config.json is {type(values).__name__}; expected an object")
    dtype = str(values.get("dtype") or values.get("torch_dtype") or _stored(directory))
    if dtype not in ITEMSIZES:
        expected = ", ".join(ITEMSIZES)
        raise CheckpointError(f"config.json says dtype {dtype!r}; expected one of {expected}")
    return Dimensions(config=config_from_hf(values), dtype=dtype)


def token_budget(samples: int, dimensions: Dimensions) -> TokenBudget:
    """The budget of a clip of `samples` samples; a longer one than the window is cut as a chat cuts it."""
    encoder = dimensions.config.encoder
    pieces = lengths.pieces(samples, encoder.max_samples)
    mel_frames = [lengths.mel_frames(stop - start) for start, stop in pieces]
    tokens = sum(lengths.audio_tokens(frames) for frames in mel_frames)
    return TokenBudget(
        samples=samples,
        mel_frames=sum(mel_frames),
        encoder_frames=sum(lengths.encoder_frames(frames) for frames in mel_frames),
        audio_tokens=tokens,
        windows=len(pieces),
        kv_bytes=dimensions.kv_bytes(tokens),
        padded_frames=len(pieces) * encoder.max_source_positions,
    )


def _stored(directory: Path) -> str:
    # imports torch, which few checkpoints need: published ones name their precision
    from q2a_core.checkpoint.weight_files import stored_dtype

    return stored_dtype(directory)
