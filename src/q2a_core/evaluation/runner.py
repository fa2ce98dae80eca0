"""Ask a checkpoint every item once, score the replies, and say under which conditions."""

import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from q2a_core.checkpoint import Checkpoint
from q2a_core.evaluation.metrics import INTERVALS
from q2a_core.evaluation.suites import (
    FIRST_WORLD,
    TEST_UTTERANCES,
    Item,
    Suite,
    example_row,
    suite_items,
    swapped,
)
from q2a_core.inference import GenerationSettings, generate
from q2a_core.inference.batch import prompt_batch
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
        control = answer(checkpoint, model, swapped(items), tick=tick)
        rows.append(
            {
                "suite": suite.name,
                "metric": suite.metric,
                "score": asdict(suite.score(list(zip(items, replies, strict=True)))),
                "control": asdict(suite.score(list(zip(items, control, strict=True)))),
            }
        )
        examples += [example_row(suite.name, *pair) for pair in zip(items, replies, strict=True)]
    return {
        "checkpoint": {"name": checkpoint.name, "hash": checkpoint.hash},
        "conditions": {
            "split": "test",
            "book": book.hash[:12],
            "seeds": {suite.name: suite.seed for suite in suites},
            "decoding": f"greedy, at most {MAX_NEW_TOKENS} tokens",
            "normaliser": "lower case, letters and digits",
            "intervals": INTERVALS,
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
    chat_format, config = checkpoint.chat_format, checkpoint.generation_config
    batch = prompt_batch(
        chat_format,
        [item.task.prompt for item in items],
        [item.samples for item in items],
        device=model.decoder.embed_tokens.weight.device,
    )
    settings = GenerationSettings.from_generation_config(
        config, max_new_tokens=MAX_NEW_TOKENS, temperature=0.0
    )
    reply = generate(model, settings=settings, **batch)
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
