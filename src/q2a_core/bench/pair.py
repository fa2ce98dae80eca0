"""One checkpoint opened twice: by this implementation and by the installed transformers, from the same files.

Transformers is called as its documentation says: template, processor with the clip (which expands the placeholders and
pads to the window), masks passed on, KV cache on. Neither side stops early or changes the logits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from q2a_core import paths, presets
from q2a_core.audio.mel import log_mel
from q2a_core.checkpoint import open_checkpoint, save_checkpoint
from q2a_core.errors import Q2AError
from q2a_core.inference import GenerationSettings, generate_steps
from q2a_core.lengths import SAMPLE_RATE, mel_frames, tokens_of_samples
from q2a_core.model import Qwen2Audio
from q2a_core.text import ChatFormat, user_message
from q2a_core.world.mini_tokenizer import mini_chat_format

QUESTION = "What is this sound?"
ANSWER = "This is the sound of a keyboard."
SEED = 0
"""Of the random weights and of every clip."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Both models in fp32 on the CPU, with their text sides."""

    name: str
    hash: str
    chat_format: ChatFormat
    model: Qwen2Audio
    theirs: Any  # transformers.Qwen2AudioForConditionalGeneration
    processor: Any  # transformers.Qwen2AudioProcessor

    @property
    def window_seconds(self) -> float:
        """The longest clip that both take."""
        return self.model.config.encoder.max_seconds


def open_pair(source: str | Path | None) -> Pair:
    """Open a shipped name, a directory or a hub id on both sides; None is random `presets.mini()` weights.

    "mini" stands for random weights too where none ships: speed does not depend on what the weights are.
    Raises CheckpointError, or Q2AError if transformers is missing.
    """
    if source == "mini" and "mini" not in paths.shipped_checkpoints():
        source = None
    if source is not None:
        return _open(source, name=None)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        model = Qwen2Audio(presets.mini())
        model.init_weights(torch.Generator().manual_seed(SEED))
        directory = save_checkpoint(model, Path(folder) / "mini", chat_format=mini_chat_format())
        return _open(directory, name=f"random weights (seed {SEED}) of presets.mini()")


def _open(source: str | Path, *, name: str | None) -> Pair:
    try:
        from transformers import (
            AutoProcessor,
            GenerationConfig,
            Qwen2AudioForConditionalGeneration,
        )
        from transformers.utils import logging
    except ImportError as error:
        raise Q2AError(
            f"the comparison needs transformers, which cannot be imported ({error}); "
            "install it with: pip install transformers"
        ) from error
    checkpoint = open_checkpoint(source)
    model = checkpoint.load_model(dtype=torch.float32)
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        theirs = Qwen2AudioForConditionalGeneration.from_pretrained(
            checkpoint.directory, dtype=torch.float32, local_files_only=True
        ).eval()
        processor = AutoProcessor.from_pretrained(checkpoint.directory, local_files_only=True)
    finally:
        if bars:
            logging.enable_progress_bar()
    # without stop tokens, so that both sides decode the same number of steps
    theirs.generation_config = GenerationConfig()
    return Pair(
        name=name or checkpoint.name,
        hash=checkpoint.hash,
        chat_format=checkpoint.chat_format,
        model=model,
        theirs=theirs,
        processor=processor,
    )


def noise_clip(seconds: float, *, seed: int = SEED) -> np.ndarray:
    """Samples (S,) at 16 kHz: pink-ish noise that swells and fades, so that no frame is like another."""
    rng = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE)
    noise = np.convolve(rng.standard_normal(count), [0.5, 0.3, 0.2], mode="same")
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 1.3 * np.arange(count) / SAMPLE_RATE)
    return (0.2 * noise * swell).astype(np.float32)


def our_mel(pair: Pair, samples: np.ndarray) -> Tensor:
    """Log-mel (M, F) as our front end makes it."""
    encoder = pair.model.config.encoder
    return log_mel(samples, num_mels=encoder.num_mel_bins, max_frames=encoder.max_mel_frames)


def their_mel(pair: Pair, samples: np.ndarray | list[np.ndarray]) -> dict[str, Tensor]:
    """What transformers' front end makes, called as its processor does: `input_features`, `attention_mask`."""
    return pair.processor.feature_extractor(
        samples,
        sampling_rate=SAMPLE_RATE,
        padding="max_length",
        return_attention_mask=True,
        return_tensors="pt",
    )


def our_prompt(pair: Pair, samples: np.ndarray) -> dict[str, Tensor]:
    """Samples and the question to the arguments of `generate_steps`."""
    messages = [user_message(QUESTION, clips=1)]
    ids = pair.chat_format.prompt_ids(messages, [tokens_of_samples(len(samples))])
    return {
        "input_ids": torch.tensor([ids]),
        "mel": our_mel(pair, samples)[None],
        "mel_lengths": torch.tensor([mel_frames(len(samples))]),
    }


def their_prompt(pair: Pair, samples: np.ndarray) -> dict[str, Tensor]:
    """Samples and the question to the arguments of `generate`."""
    text = pair.processor.apply_chat_template(
        [user_message(QUESTION, clips=1)], add_generation_prompt=True, tokenize=False
    )
    return pair.processor(
        text=text, audio=[samples], sampling_rate=SAMPLE_RATE, return_tensors="pt"
    )


def our_tokens(pair: Pair, prompt: dict[str, Tensor], *, new_tokens: int) -> Iterator[int]:
    """Our greedy tokens as they are decoded."""
    steps = generate_steps(
        pair.model,
        prompt["input_ids"],
        mel=prompt["mel"],
        mel_lengths=prompt["mel_lengths"],
        settings=GenerationSettings(max_new_tokens=new_tokens),
    )
    for (token,), _ in steps:
        yield token


def their_tokens(
    pair: Pair, prompt: dict[str, Tensor], *, new_tokens: int, streamer: Any = None
) -> list[int]:
    """Transformers' greedy tokens; a streamer is handed the prompt and then each token."""
    generated = pair.theirs.generate(
        **prompt, do_sample=False, max_new_tokens=new_tokens, pad_token_id=0, streamer=streamer
    )
    return generated[0, prompt["input_ids"].shape[1] :].tolist()
