"""Ask a checkpoint every item once, score the replies, and say under which conditions."""

import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from q2a_core.audio.mel import log_mel, stack_mels
from q2a_core.checkpoint import Checkpoint
from q2a_core.evaluation.suites import FIRST_WORLD, TEST_UTTERANCES, Item, Suite, suite_items
from q2a_core.inference import GenerationSettings, generate
from q2a_core.lengths import audio_tokens, mel_frames
from q2a_core.model import Qwen2Audio
from q2a_core.world.speech import open_or_build

BATCH_SIZE = 16
MAX_NEW_TOKENS = 40


def evaluate(
    checkpoint: Checkpoint,
    *,
    count: int = 120,
    suites: tuple[Suite, ...] = FIRST_WORLD,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Scores of every suite on `count` held-out clips, each beside its control with the clips swapped.

    The control keeps every question and truth and hands over another item's clip: a model that answers from the
    question alone scores the same there. Returns a JSON-ready report.
    """
    start = time.perf_counter()
    model = checkpoint.load_model(device=device)
    book = open_or_build("test", count=TEST_UTTERANCES, seed=0)
    total = 2 * count * len(suites)
    done = 0

    def tick(items: int) -> None:
        nonlocal done
        done += items
        on_progress(done, total)

    rows, examples = [], []
    for suite in suites:
        items = suite_items(suite, book, count=count)
        replies = answer(checkpoint, model, items, tick=tick)
        swapped = [
            _with_clip(item, other) for item, other in zip(items, _shift(items), strict=True)
        ]
        control = answer(checkpoint, model, swapped, tick=tick)
        rows.append(
            {
                "suite": suite.name,
                "metric": suite.metric,
                "score": asdict(suite.score(list(zip(items, replies, strict=True)))),
                "control": asdict(suite.score(list(zip(items, control, strict=True)))),
            }
        )
        examples += [_example(suite, *pair) for pair in zip(items, replies, strict=True)]
    return {
        "checkpoint": {"name": checkpoint.name, "hash": checkpoint.hash},
        "conditions": {
            "split": "test",
            "book": book.hash[:12],
            "seeds": {suite.name: suite.seed for suite in suites},
            "decoding": f"greedy, at most {MAX_NEW_TOKENS} tokens",
            "normaliser": "lower case, letters and digits",
            "intervals": "95 %, bootstrap over clips",
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, {device}",
            "seconds": round(time.perf_counter() - start, 1),
        },
        "rows": rows,
        "examples": examples,
    }


@torch.inference_mode()
def answer(
    checkpoint: Checkpoint,
    model: Qwen2Audio,
    items: list[Item],
    *,
    tick: Callable[[int], None] = lambda items: None,
) -> list[str]:
    """Greedy replies, in the order of the items, batched by length."""
    order = sorted(range(len(items)), key=lambda index: len(items[index].samples))
    replies = [""] * len(items)
    for start in range(0, len(items), BATCH_SIZE):
        chosen = order[start : start + BATCH_SIZE]
        for index, reply in zip(
            chosen, _answer_batch(checkpoint, model, [items[i] for i in chosen]), strict=True
        ):
            replies[index] = reply
        tick(len(chosen))
    return replies


def _answer_batch(checkpoint: Checkpoint, model: Qwen2Audio, items: list[Item]) -> list[str]:
    chat_format = checkpoint.chat_format
    device = model.projector.linear.weight.device
    frames = [mel_frames(len(item.samples)) for item in items]
    prompts = [
        chat_format.prompt_ids(list(item.task.prompt), [audio_tokens(count)])
        for item, count in zip(items, frames, strict=True)
    ]
    settings = GenerationSettings.from_generation_config(
        checkpoint.generation_config, max_new_tokens=MAX_NEW_TOKENS, temperature=0.0
    )
    longest = max(map(len, prompts))
    pad = checkpoint.generation_config.get("pad_token_id") or 0
    input_ids = torch.tensor([[pad] * (longest - len(ids)) + ids for ids in prompts], device=device)
    mask = torch.tensor(
        [[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts], device=device
    )
    reply = generate(
        model,
        input_ids,
        mel=stack_mels([log_mel(item.samples) for item in items]).to(device),
        mel_lengths=torch.tensor(frames),
        attention_mask=mask,
        settings=settings,
    )
    return [chat_format.tokenizer.decode(ids) for ids in reply.token_ids]


def to_markdown(report: dict[str, Any]) -> str:
    """The report as a table, with the conditions under it."""
    lines = [
        "| suite | metric | score (95 %) | clips swapped | n |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in report["rows"]:
        score, control = row["score"], row["control"]
        lines.append(
            f"| {row['suite']} | {row['metric']} | {score['value']:.1%} ({score['low']:.1%}-{score['high']:.1%}) "
            f"| {control['value']:.1%} | {score['n']} |"
        )
    checkpoint, conditions = report["checkpoint"], report["conditions"]
    lines += [
        "",
        f"Checkpoint {checkpoint['name']} ({checkpoint['hash']}); {conditions['decoding']}; ",
    ]
    lines[-1] += (
        f"split {conditions['split']}, speech {conditions['book']}; {conditions['machine']}."
    )
    return "\n".join(lines) + "\n"


def _shift(items: list[Item]) -> list[Item]:
    """The items moved on by a third of the list, so that nobody keeps their clip."""
    step = max(len(items) // 3, 1)
    return items[step:] + items[:step]


def _with_clip(item: Item, other: Item) -> Item:
    return Item(scene=item.scene, task=item.task, samples=other.samples)


def _example(suite: Suite, item: Item, reply: str) -> dict[str, Any]:
    return {
        "suite": suite.name,
        "clip": item.scene.index,
        "question": [part.get("text") for part in item.task.prompt[-1]["content"]][-1],
        "true": item.task.answer,
        "reply": reply,
    }
