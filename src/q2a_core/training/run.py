"""A whole run: speech book, corpus, model, loop, and at the end a checkpoint in the hub's layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from q2a_core.errors import RunError
from q2a_core.inference import GenerationSettings, generate
from q2a_core.inference.batch import prompt_batch
from q2a_core.model import Qwen2Audio
from q2a_core.progress import OnProgress, unheard
from q2a_core.text import ChatFormat
from q2a_core.training.data import held_out_examples, preference_corpus, training_batches
from q2a_core.training.export import hand_over
from q2a_core.training.loop import Hooks, train
from q2a_core.training.origin import Origin, open_origin
from q2a_core.training.preference.dpo import train_dpo
from q2a_core.training.preference.pair_file import PreferencePair
from q2a_core.training.preference.sampled_pairs import Sampling, sample_pairs
from q2a_core.training.preference.thing_pairs import absent_pairs
from q2a_core.training.processes import Processes
from q2a_core.training.runs.claim import check_folder
from q2a_core.training.stages import SAMPLED_PAIRS, StageConfig
from q2a_core.training.supervised import Supervised
from q2a_core.world.corpus import Example
from q2a_core.world.mini_tokenizer import mini_chat_format


def run_stage(
    stage: StageConfig,
    run: Path,
    *,
    resume: bool = False,
    hooks: Hooks | None = None,
    precision: str = "no",
    on_speech: OnProgress = unheard,
) -> Path | None:
    """Train a supervised stage in the folder `run` and export RUN/checkpoint; returns its path, None after no step.

    Raises RunError, SpeechError and CheckpointError.
    """
    hooks = hooks or Hooks()
    chat_format = mini_chat_format()
    processes = Processes(precision)
    with processes.first_alone():
        if processes.writes:
            check_folder(run, stage, resume=resume)
        origin = open_origin(stage)
        objective = _objective(stage, origin)
        batches, book = training_batches(stage, chat_format, on_speech=on_speech)
        _listen(stage, chat_format, hooks)
    train(
        stage,
        run,
        objective=objective,
        batches=batches,
        facts={"book": book},
        start=origin.start,
        resume=resume,
        hooks=hooks,
        precision=precision,
    )
    return hand_over(
        run,
        stage,
        model=objective.model,
        heads=objective.heads(),
        chat_format=chat_format,
        processes=processes,
        hooks=hooks,
    )


def run_dpo(
    stage: StageConfig,
    run: Path,
    *,
    pairs: Sequence[PreferencePair] | None = None,
    sampled: int = SAMPLED_PAIRS["full"],
    absent: int = 0,
    resume: bool = False,
    hooks: Hooks | None = None,
    precision: str = "no",
    on_speech: OnProgress = unheard,
    on_pairs: OnProgress = unheard,
) -> Path | None:
    """Train on preferences in the folder `run` and export RUN/checkpoint; returns its path, None after no step.

    `sampled` pairs come from the start checkpoint's own replies and `absent` ones are about things that are not there;
    `pairs` are added to them. The same seed makes the same pairs, so a resumed run makes them again. Raises RunError,
    SpeechError and CheckpointError.
    """
    hooks = hooks or Hooks()
    chat_format = mini_chat_format()
    processes = Processes(precision)
    if not (pairs or sampled or absent):
        raise RunError(
            "there are no preference pairs to train on; expected some: give a file with --pairs, "
            "or a number over 0 to --sampled or --absent"
        )
    with processes.first_alone():
        if processes.writes:
            check_folder(run, stage, resume=resume)
        origin = open_origin(stage)
        model = origin.model.eval()
        chosen = [*(pairs or ()), *absent_pairs(absent, seed=stage.seed)]
        kinds = {"own": len(pairs or ()), "absent": absent, "sampled": 0, "asked": sampled}
        corpus = preference_corpus(stage, on_speech=on_speech) if sampled else None
        _listen(stage, chat_format, hooks)
    if corpus is not None:
        found = sample_pairs(
            model,
            chat_format,
            corpus,
            count=sampled,
            sampling=Sampling(seed=stage.seed),
            on_progress=on_pairs,
        )
        chosen += found
        kinds["sampled"] = len(found)
        if len(found) < sampled and processes.writes:
            hooks.on_message(
                f"{len(found)} of {sampled} sampled pairs were found: its replies are too seldom wrong for more"
            )
    train_dpo(
        stage,
        run,
        model=model,
        chat_format=chat_format,
        pairs=chosen,
        facts={"pairs_by_kind": kinds},
        start=origin.start,
        resume=resume,
        hooks=hooks,
        precision=precision,
    )
    return hand_over(
        run,
        stage,
        model=model,
        heads=origin.heads,
        chat_format=chat_format,
        processes=processes,
        hooks=hooks,
    )


def _listen(stage: StageConfig, chat_format: ChatFormat, hooks: Hooks) -> None:
    """Have the same held-out clips decoded now and then while training."""
    examples = held_out_examples(stage)
    hooks.on_sample = lambda model, step: [_decode(model, chat_format, e) for e in examples]


def _objective(stage: StageConfig, origin: Origin) -> Supervised:
    objective = Supervised(
        origin.model, ctc_weight=stage.ctc_weight, seed=stage.seed, connected=stage.connected
    )
    objective.put_heads(origin.heads)
    return objective


def _decode(model: Qwen2Audio, chat_format: ChatFormat, example: Example) -> dict[str, Any]:
    """What the model says to one held-out clip, beside what is true."""
    assert example.samples is not None
    batch = prompt_batch(model, chat_format, [example.task.prompt], [example.samples])
    settings = GenerationSettings(stop_ids=chat_format.stop_ids, max_new_tokens=32)
    reply = generate(model, settings=settings, **batch)
    text = chat_format.tokenizer.decode(reply.token_ids[0])
    return {
        "task": example.task.name,
        "clip": example.scene.index,
        "said": text,
        "true": example.task.answer,
    }
