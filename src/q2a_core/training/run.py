"""A whole run: speech book, corpus, model, loop, and at the end a checkpoint in the hub's layout."""

import json
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from q2a_core import presets
from q2a_core.audio.mel import log_mel
from q2a_core.checkpoint import open_checkpoint, save_checkpoint
from q2a_core.errors import RunError
from q2a_core.inference import GenerationSettings, generate
from q2a_core.lengths import audio_tokens, mel_frames
from q2a_core.model import Qwen2Audio
from q2a_core.text import ChatFormat
from q2a_core.training.loop import Hooks, train
from q2a_core.training.stages import StageConfig
from q2a_core.training.state import load_newest, restore_weights
from q2a_core.world.corpus import Corpus, Example
from q2a_core.world.lexicon import first_world_words
from q2a_core.world.mini_tokenizer import mini_chat_format
from q2a_core.world.render import MAX_SECONDS
from q2a_core.world.sounds import SOUND_CLASSES
from q2a_core.world.speech import open_or_build

SAMPLES = 4
"""Held-out clips that are decoded while training."""


def run_stage(
    stage: StageConfig,
    run: Path,
    *,
    start: str | None = None,
    resume: bool = False,
    hooks: Hooks | None = None,
    precision: str = "no",
    on_speech: Callable[[int, int], None] | None = None,
) -> Path:
    """Train a stage in the folder `run` and export RUN/checkpoint; returns its path.

    `start` names a checkpoint to go on from; None begins with fresh weights. Raises RunError, SpeechError and
    CheckpointError.
    """
    hooks = hooks or Hooks()
    chat_format = mini_chat_format()
    model = _model(stage, start)
    book = open_or_build("train", count=stage.utterances, seed=stage.seed, progress=on_speech)
    held_out = open_or_build("test", count=60, seed=stage.seed)
    examples = [
        Corpus(held_out, "test", seed=stage.seed).example(index) for index in range(SAMPLES)
    ]
    hooks.on_sample = lambda model, step: [_decode(model, chat_format, e) for e in examples]
    train(
        stage,
        run,
        model=model,
        chat_format=chat_format,
        corpus=Corpus(book, "train", seed=stage.seed),
        resume=resume,
        hooks=hooks,
        precision=precision,
    )
    return export(run, stage, model=model, chat_format=chat_format)


def export_newest(run: Path, target: Path) -> Path:
    """Write the newest saved state of a run, finished or not, as a checkpoint. Raises RunError."""
    config = run / "config.json"
    if not config.is_file():
        raise RunError(f"{run.name} holds no run; expected a folder that q2a train has written")
    stage = StageConfig.from_dict(json.loads(config.read_text("utf-8")))
    found = load_newest(run)
    if found is None:
        raise RunError(
            f"{run.name} has no whole state yet; train at least {stage.save_every} steps"
        )
    model = Qwen2Audio(presets.mini())
    restore_weights(found[0], model)
    return export(
        run,
        stage,
        model=model,
        chat_format=mini_chat_format(),
        target=target,
        step=found[1]["step"],
    )


def export(
    run: Path,
    stage: StageConfig,
    *,
    model: Qwen2Audio,
    chat_format: ChatFormat,
    target: Path | None = None,
    step: int | None = None,
) -> Path:
    """Write a trained model as a checkpoint, with what faces need to know about it in about.json."""
    about = about_run(stage, step=stage.steps if step is None else step)
    return save_checkpoint(
        model,
        target or run / "checkpoint",
        chat_format=chat_format,
        about=about,
        model_card=model_card(about),
    )


def about_run(stage: StageConfig, *, step: int) -> dict[str, Any]:
    """What a checkpoint of this stage has seen and can hear."""
    return {
        "stage": stage.name,
        "step": step,
        "clips": step * stage.batch_size,
        "trained_on": "synthetic voices (eSpeak NG) and procedural sounds",
        "trained_seconds": MAX_SECONDS,
        "words": list(first_world_words()),
        "sounds": [sound.noun for sound in SOUND_CLASSES],
        "try": [
            "Play a sound, then ask aloud: what is this sound?",
            "Say: seven red cups",
            "Say: please open the green door",
            "Play a sound and type: How many times?",
            "Type: What does the person say?",
        ],
        "config": asdict(stage),
    }


def model_card(about: dict[str, Any]) -> str:
    """README.md of a checkpoint: what it is, how it was made, what it cannot do."""
    config = about["config"]
    command = (
        f"q2a train pretrain --run RUN --steps {config['steps']} --batch-size {config['batch_size']} "
        f"--learning-rate {config['learning_rate']:g} --utterances {config['utterances']} --seed {config['seed']}"
    )
    paragraphs = (
        "The architecture of Qwen2-Audio (arXiv 2407.10759) at under 3 million parameters, trained from scratch by "
        f"q2a on {about['trained_on']}: {about['clips']:,} clips of up to {about['trained_seconds']:g} s in "
        f"{about['step']:,} steps. Stored in fp16, computed in fp32. License Apache-2.0.",
        f"Made by `{command}`, then `q2a train export RUN DIRECTORY`.",
        f"It answers in English about {len(about['sounds'])} kinds of sounds and {len(about['words'])} words "
        "(about.json lists them), in voice chat (a clip alone) and in audio analysis (a clip with a text "
        "question). Real voices and recordings, other words, noise and longer clips are beyond it, and it answers "
        "them all the same. It is for teaching, and it is not Qwen2-Audio.",
    )
    filled = [textwrap.fill(text, 118, break_on_hyphens=False) for text in paragraphs]
    return "\n\n".join(["# A mini Qwen2-Audio", *filled]) + "\n"


def _model(stage: StageConfig, start: str | None) -> Qwen2Audio:
    if start is not None:
        return open_checkpoint(start).load_model()
    model = Qwen2Audio(presets.mini())
    model.init_weights(torch.Generator().manual_seed(stage.seed))
    return model


def _decode(model: Qwen2Audio, chat_format: ChatFormat, example: Example) -> dict[str, Any]:
    """What the model says to one held-out clip, beside what is true."""
    stop = tuple(
        token
        for name in ("<|im_end|>", "<|endoftext|>")
        if (token := chat_format.tokenizer.token_id(name)) is not None
    )
    assert example.samples is not None
    frames = mel_frames(len(example.samples))
    prompt = chat_format.prompt_ids(list(example.task.prompt), [audio_tokens(frames)])
    device = model.projector.linear.weight.device
    reply = generate(
        model,
        torch.tensor([prompt], device=device),
        mel=log_mel(example.samples)[None].to(device),
        mel_lengths=torch.tensor([frames]),
        settings=GenerationSettings(stop_ids=stop, max_new_tokens=32),
    )
    text = chat_format.tokenizer.decode(reply.token_ids[0])
    return {
        "task": example.task.name,
        "clip": example.scene.index,
        "said": text,
        "true": example.task.answer,
    }
