"""`q2a eval --suite mini`: ask a checkpoint everything once, keep the replies, score them, and check that it listens.

Beside each figure stands the same suite with the clips moved on: what a model scores that answers from the question
alone. `mini_controls.py` has the other controls.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch

from q2a_core.checkpoint import Checkpoint
from q2a_core.errors import Q2AError
from q2a_core.evaluation.items import Item, example_row, swapped
from q2a_core.evaluation.metrics import INTERVALS
from q2a_core.evaluation.mini_controls import listening, robustness
from q2a_core.evaluation.mini_suite import TEST_UTTERANCES, Answered, MiniSuite, mini_items
from q2a_core.evaluation.mini_suites import MINI_SUITES
from q2a_core.evaluation.normalisers import normaliser_name
from q2a_core.evaluation.replies import ReplyKey, ReplyStore, answer_once, text_hash
from q2a_core.evaluation.runner import answer, decoding_in_words
from q2a_core.hashes import content_hash
from q2a_core.machine import machine_in_words
from q2a_core.model import Qwen2Audio
from q2a_core.progress import OnProgress, unheard
from q2a_core.world.render import MAX_SECONDS
from q2a_core.world.speech import open_or_build
from q2a_core.world.speech.utterance_book import UtteranceBook

LARGER = {"false yes": 6, "mode: kind of reply": 2}
"""Suites that have this many times as many items: their figures are small or compared in pairs."""
EXAMPLES = 10
"""Replies of each suite that a report keeps unless more are asked for."""
HELD_OUT = "the official wording, or one that training never saw"
"""How the suites of the mini Table 2 ask."""


def evaluate_mini(
    checkpoint: Checkpoint,
    *,
    count: int = 100,
    suites: tuple[MiniSuite, ...] = MINI_SUITES,
    prompts: str = HELD_OUT,
    controls: bool = True,
    examples: int = EXAMPLES,
    store: ReplyStore | None = None,
    device: str = "cpu",
    on_answered: Callable[[str, Answered], None] = lambda suite, answered: None,
    on_progress: OnProgress = unheard,
) -> dict[str, Any]:
    """The mini Table 2 of a checkpoint as a JSON-ready report; with a `store` on disk a killed run goes on.

    `count` items in each suite, some have a multiple. `prompts` says in words how the suites ask. Without `controls`
    the robustness pairs and the listening control are left out. The report keeps the first `examples` replies of each
    suite. Raises SpeechError and Q2AError.
    """
    start = time.perf_counter()
    window = checkpoint.config.encoder.max_seconds
    if window < MAX_SECONDS:
        raise Q2AError(
            f"{checkpoint.name} hears {window:g} s at once; the mini suites' clips last up to {MAX_SECONDS:g} s. "
            "Evaluate it on shorter clips of your own: q2a eval --clips FOLDER --manifest FILE"
        )
    model = checkpoint.load_model(device=device)
    book = open_or_build("test", count=TEST_UTTERANCES, seed=0)
    store = ReplyStore() if store is None else store
    total = sum(count * LARGER.get(suite.name, 1) + count // 2 for suite in suites)
    total += 4 * count if controls else 0
    ask = _Asker(checkpoint, model, store, total=total, on_progress=on_progress)
    rows, kept = [], []
    for suite in suites:
        items = mini_items(suite, book, count=count * LARGER.get(suite.name, 1))
        answered = ask(suite.name, items)
        on_answered(suite.name, answered)
        control = ask(f"{suite.name}, swapped", swapped(items)[: max(count // 2, 1)])
        rows.append(
            {
                "suite": suite.name,
                "metric": suite.metric,
                "seed": suite.seed,
                "score": asdict(suite.score(answered)),
                "control": asdict(suite.score(control)),
            }
        )
        if suite.hits is not None:
            hits = suite.hits(answered)
            rows[-1]["hits"] = [place for place, hit in enumerate(hits) if hit]
        kept += [example_row(suite.name, item, reply) for item, reply in answered[:examples]]
    if controls:
        rows += robustness(ask, suites, book, count)
        rows += listening(ask, suites, book, count)
    on_progress(total, total)
    return {
        "checkpoint": {
            "name": checkpoint.name,
            "hash": checkpoint.hash,
            "stage": checkpoint.about.get("stage"),
            "clips": checkpoint.about.get("clips"),
        },
        "conditions": {
            **_conditions(checkpoint, suites, book, prompts=prompts, device=device),
            "seconds": round(time.perf_counter() - start, 1),
        },
        "rows": rows,
        "examples": kept,
    }


class _Asker:
    """Asks each item once: what the store knows is taken from there, and the progress goes on from suite to suite."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        model: Qwen2Audio,
        store: ReplyStore,
        *,
        total: int,
        on_progress: OnProgress,
    ):
        self.checkpoint, self.model, self.store = checkpoint, model, store
        self.total, self.on_progress = total, on_progress
        self.done = 0

    def __call__(self, name: str, items: list[Item]) -> Answered:
        """The items with their replies, which are kept under `name`."""
        before = self.done
        replies = answer_once(
            self.store,
            [_key(self.checkpoint, name, item) for item in items],
            lambda places: answer(self.checkpoint, self.model, [items[place] for place in places]),
            on_progress=lambda part, _: self.on_progress(
                min(before + part, self.total), self.total
            ),
        )
        self.done += len(items)
        return list(zip(items, replies, strict=True))


def _conditions(
    checkpoint: Checkpoint,
    suites: Sequence[MiniSuite],
    book: UtteranceBook,
    *,
    prompts: str,
    device: str,
) -> dict[str, Any]:
    """What the figures hold for: data, prompts, decoding, counting, and the machine."""
    return {
        "split": "test",
        "book": book.hash[:12],
        "seeds": {suite.name: suite.seed for suite in suites},
        "decoding": decoding_in_words(checkpoint),
        "prompts": prompts,
        "normaliser": "; ".join(
            f"{language}: {normaliser_name(language)}" for language in ("en", "de", "zh")
        ),
        "intervals": INTERVALS,
        "machine": machine_in_words(
            threads=torch.get_num_threads(), torch=torch.__version__, device=device
        ),
    }


def _key(checkpoint: Checkpoint, suite: str, item: Item) -> ReplyKey:
    prompt = checkpoint.chat_format.render(list(item.task.prompt))
    return ReplyKey(
        checkpoint=checkpoint.reply_hash,
        suite=suite,
        item=f"{item.scene.index} {content_hash(item.samples.tobytes())}",
        prompt=text_hash(prompt),
        decoding=decoding_in_words(checkpoint),
    )
