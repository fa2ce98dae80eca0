"""A checkpoint directory opened: its config, chat format and generation settings, and the model on demand.

Both layouts are read: the hub's (`preprocessor_config.json`, template inside `tokenizer_config.json`) and what
transformers 5 writes (`processor_config.json`, `chat_template.jinja`), one weight file or shards. Which template is
taken says `templates`.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from q2a_core.checkpoint.adapter import refuse_adapter
from q2a_core.checkpoint.front_end import check_front_end
from q2a_core.checkpoint.generation_file import read_generation
from q2a_core.checkpoint.source import resolve_source
from q2a_core.checkpoint.templates import ChosenTemplate, choose_template
from q2a_core.checkpoint.weight_files import stored_dtype, stored_tensors, weight_files
from q2a_core.checkpoint.weights import TRAINING_FILE, load_weights
from q2a_core.config import ModelConfig
from q2a_core.config_json import config_from_hf
from q2a_core.errors import BackendError, CheckpointError
from q2a_core.files import read_json
from q2a_core.hashes import checkpoint_hash, content_hash
from q2a_core.model import Qwen2Audio
from q2a_core.text import ChatFormat, Tokenizer
from q2a_core.text.special_tokens import AUDIO_TOKEN

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Checkpoint:
    """One opened checkpoint; nothing heavy is read before it is asked for."""

    directory: Path
    """Where its files lie."""
    config: ModelConfig
    """The model's dimensions."""
    dtype: torch.dtype
    """What it is computed in: what its config says, or else what its weights are stored in."""
    generation_config: dict[str, Any]
    """`generation_config.json`, or what config.json says of decoding where there is no such file; stop ids that nothing
    sets are None."""

    @property
    def name(self) -> str:
        """The directory's name; a hub snapshot's repository."""
        parts = self.directory.parts
        if len(parts) >= 3 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
            return "/".join(parts[-3].split("--")[1:])
        return self.directory.name

    @cached_property
    def hash(self) -> str:
        """Twelve hex digits of config and weights."""
        return checkpoint_hash(self.directory)

    @cached_property
    def reply_hash(self) -> str:
        """`hash` and twelve digits of the tokenizer: what a reply to a rendered prompt follows from."""
        tokenizer = self.chat_format.tokenizer.to_json().encode("utf-8")
        return f"{self.hash} {content_hash(tokenizer)}"

    @cached_property
    def about(self) -> dict[str, Any]:
        """`about.json`, which our own checkpoints carry: stage, longest clip trained on, data, seed; {} elsewhere."""
        return read_json(self.directory / "about.json", optional=True)

    @cached_property
    def chat_format(self) -> ChatFormat:
        """Tokenizer and chat template. Raises CheckpointError if the tokenizer does not fit the model."""
        return ChatFormat(
            self._tokenizer, self._template.text, audio_token_id=self.config.audio_token_id
        )

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know of how it is asked. Raises CheckpointError as `chat_format` does."""
        return () if self._template.notice is None else (self._template.notice,)

    def load_model(
        self, *, device: str | torch.device = "cpu", dtype: torch.dtype | str | None = None
    ) -> Qwen2Audio:
        """The model with its weights on `device`, in evaluation mode; `dtype` defaults to the config's.

        Raises CheckpointError for weights that are missing or damaged and for an unknown `dtype`, BackendError for a
        device that is not there.
        """
        device = check_device(device)
        wanted = DTYPES.get(dtype) if isinstance(dtype, str) else (dtype or self.dtype)
        if wanted is None:
            raise CheckpointError(f"unknown dtype {dtype!r}; expected one of {', '.join(DTYPES)}")
        with torch.device("meta"):
            model = Qwen2Audio(self.config)
        load_weights(model, weight_files(self.directory), device=str(device), dtype=wanted)
        return model.eval()

    def training_tensors(self) -> dict[str, torch.Tensor]:
        """What only training on needs, such as the spelling head; {} if the checkpoint carries none."""
        path = self.directory / TRAINING_FILE
        return dict(stored_tensors([path], device="cpu")) if path.is_file() else {}

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_directory(self.directory)
        vocab_size = self.config.decoder.vocab_size
        if len(tokenizer) > vocab_size:
            raise CheckpointError(
                f"the tokenizer has {len(tokenizer)} entries, the model {vocab_size} and none for "
                f"{tokenizer.piece(vocab_size)!r}; these files are of two checkpoints"
            )
        audio_token = self._audio_token(tokenizer)
        placeholder = tokenizer.token_id(audio_token)
        if placeholder != self.config.audio_token_id:
            raise CheckpointError(
                f"the audio token {audio_token} has id {placeholder} in the tokenizer and "
                f"{self.config.audio_token_id} in config.json; name the token of that id as audio_token in "
                "tokenizer_config.json, unless these files are of two checkpoints"
            )
        if tokenizer.encode(audio_token) != [placeholder]:
            raise CheckpointError(
                f"the tokenizer takes {audio_token} in a text for several tokens; expected tokenizer.json, or "
                "tokenizer_config.json beside vocab.json and merges.txt, to name it as a special one: copy or download "
                "the whole checkpoint"
            )
        return tokenizer

    def _audio_token(self, tokenizer: Tokenizer) -> str:
        """What stands for a clip, under whatever name; the tokenizer's word goes before the processor's."""
        processor = read_json(self.directory / "processor_config.json", optional=True)
        stated = tokenizer.special_tokens_map.get("audio_token", processor.get("audio_token"))
        return stated if isinstance(stated, str) else AUDIO_TOKEN

    @cached_property
    def _template(self) -> ChosenTemplate:
        return choose_template(
            self.directory, self._tokenizer, audio_token_id=self.config.audio_token_id
        )


def open_checkpoint(source: str | Path) -> Checkpoint:
    """Open a shipped name, a directory or a hub id. Raises CheckpointError."""
    # whole, so that "." has a name, and that what is read later is found whatever the working directory is then
    directory = Path(os.path.abspath(resolve_source(source)))
    refuse_adapter(directory)
    values = _config_values(directory)
    config = config_from_hf(values)
    check_front_end(directory, config.encoder)
    name = str(values.get("dtype") or values.get("torch_dtype") or stored_dtype(directory))
    if name not in DTYPES:
        raise CheckpointError(
            f"config.json says dtype {name!r}; expected one of {', '.join(DTYPES)}"
        )
    return Checkpoint(
        directory=directory,
        config=config,
        dtype=DTYPES[name],
        generation_config=read_generation(directory, values),
    )


def _config_values(directory: Path) -> dict[str, Any]:
    """`config.json`. Raises CheckpointError, which says where a run, or a repository of the hub's cache, has it."""
    path = directory / "config.json"
    values = read_json(path, optional=True)
    if "model_type" not in values:
        inside = sorted(directory.glob("checkpoint/config.json"))
        inside += sorted(directory.glob("snapshots/*/config.json"))
        if inside:
            raise CheckpointError(
                f"{directory.name} is no checkpoint, but one lies in it; give {inside[0].parent}"
            )
    return values or read_json(path)  # which says what it lacks


def load_model(source: str | Path, **options) -> Qwen2Audio:
    """Shorthand: open a checkpoint and load its model; options as in `Checkpoint.load_model`."""
    return open_checkpoint(source).load_model(**options)


def check_device(device: str | torch.device) -> torch.device:
    """A torch device that is really there. Raises BackendError."""
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise BackendError(
            f"unknown device {str(device)!r}; expected cpu, cuda, cuda:0 or mps"
        ) from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise BackendError(
            f"device {str(device)!r} was asked for, but this machine has none; use device='cpu'"
        )
    return device
