"""`q2a eval --suite mini`: ask a checkpoint everything once, keep the replies, score them, and check that it listens.

Beside each figure stands the same suite with the clips moved on: what a model scores that answers from the question
alone. Then the listening control: the same questions with silence and with noise, where the right reply is to say so.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from q2a_core.checkpoint import Checkpoint
from q2a_core.errors import Q2AError
from q2a_core.evaluation.items import Item, example_row, swapped
from q2a_core.evaluation.metrics import INTERVALS, accuracy
from q2a_core.evaluation.mini_scores import all_right
from q2a_core.evaluation.mini_suite import (
    TEST_UTTERANCES,
    Answered,
    MiniSuite,
    mini_items,
    mini_scenes,
)
from q2a_core.evaluation.mini_suites import CHAT, MINI_SUITES
from q2a_core.evaluation.normalisers import normaliser_name
from q2a_core.evaluation.replies import ReplyKey, ReplyStore, answer_once, text_hash
from q2a_core.evaluation.runner import answer, decoding_in_words
from q2a_core.hashes import content_hash
from q2a_core.machine import machine_in_words
from q2a_core.progress import OnProgress, unheard
from q2a_core.world.quotes import plain
from q2a_core.world.render import MAX_SECONDS, render
from q2a_core.world.scene import Event, Scene
from q2a_core.world.speech import open_or_build
from q2a_core.world.speech.utterance_book import UtteranceBook

LARGER = {"false yes": 6, "mode: kind of reply": 2}
"""Suites that have this many times as many items: their figures are small or compared in pairs."""
EXAMPLES = 10
"""Replies of each suite that a report keeps unless more are asked for."""
ROBUST_GAIN_DB = -8.0
"""Level of what is added to a clip for the robustness pairs, relative to the speech in it."""
NOTHING_HEARD = ("silence", "noise", "only a voice", "no")
"""How a reply says that there is nothing to answer."""
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
    done = 0

    def ask(name: str, items: list[Item]) -> Answered:
        nonlocal done
        before = done

        def tick(part: int, _: int) -> None:
            on_progress(min(before + part, total), total)

        keys = [_key(checkpoint, name, item) for item in items]
        replies = answer_once(
            store,
            keys,
            lambda places: answer(checkpoint, model, [items[place] for place in places]),
            on_progress=tick,
        )
        done += len(items)
        return list(zip(items, replies, strict=True))

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
        rows += _robustness(ask, suites, book, count)
        rows += _listening(ask, suites, book, count)
    on_progress(total, total)
    return {
        "checkpoint": {
            "name": checkpoint.name,
            "hash": checkpoint.hash,
            "stage": checkpoint.about.get("stage"),
            "clips": checkpoint.about.get("clips"),
        },
        "conditions": {
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
            "seconds": round(time.perf_counter() - start, 1),
        },
        "rows": rows,
        "examples": kept,
    }


def _robustness(ask, suites: tuple[MiniSuite, ...], book: UtteranceBook, count: int) -> list[dict]:
    """Figure 10 in mini form: the same question about the same speech, clean and with a sound or music added."""
    suite = next((suite for suite in suites if suite.name == "recognition"), None)
    if suite is None:
        return []
    clean = mini_items(suite, book, count=count)
    noisy = []
    for item, added in zip(clean, _added(book, count), strict=True):
        scene = _with_added(item.scene, replace(added, gain_db=ROBUST_GAIN_DB))
        noisy.append(Item(scene=scene, task=item.task, samples=render(scene, book).samples))
    pairs = zip(
        ask("robustness, clean", clean), ask("robustness, with something added", noisy), strict=True
    )
    hits = [all_right([one])[0] and one[1] == two[1] for one, two in pairs]
    score = asdict(accuracy(hits))
    return [{"suite": "robustness: same and right", "metric": "accuracy", "score": score}]


def _added(book: UtteranceBook, count: int) -> list[Event]:
    """What sounds beside the voice: everyday sounds and music by turns, from the suites that ask about them."""
    scenes = [
        mini_scenes(next(suite for suite in MINI_SUITES if suite.name == name), book.utterances)
        for name in ("everyday sound", f"{CHAT}music")
    ]
    return [next(scenes[number % 2])[0].events[0] for number in range(count)]


def _listening(ask, suites: tuple[MiniSuite, ...], book: UtteranceBook, count: int) -> list[dict]:
    """The questions of two suites with nothing to hear: how often the reply says so."""
    rows = []
    for name in ("recognition", "everyday sound"):
        suite = next((suite for suite in suites if suite.name == name), None)
        if suite is None:
            continue
        items = mini_items(suite, book, count=max(count // 2, 1))
        for what in ("silence", "noise"):
            empty = [_emptied(item, what) for item in items]
            answered = ask(f"{name}, {what}", empty)
            said = [says_nothing_heard(reply) for _, reply in answered]
            rows.append(
                {
                    "suite": f"listening: {name} of {what}",
                    "metric": "accuracy",
                    "score": asdict(accuracy(said)),
                }
            )
    return rows


def says_nothing_heard(reply: str) -> bool:
    """Whether a reply holds one of NOTHING_HEARD, as whole words."""
    return any(f" {words} " in f" {plain(reply)} " for words in NOTHING_HEARD)


def _with_added(scene: Scene, event: Event) -> Scene:
    return replace(scene, events=(*scene.events, event), overlap=True)


def _emptied(item: Item, what: str) -> Item:
    """The same question about silence or noise of the same length."""
    samples = np.zeros_like(item.samples)
    if what == "noise":
        rng = np.random.default_rng(len(item.samples))
        samples = (0.05 * rng.standard_normal(len(samples))).astype(np.float32)
    return Item(scene=item.scene, task=item.task, samples=samples)


def _key(checkpoint: Checkpoint, suite: str, item: Item) -> ReplyKey:
    prompt = checkpoint.chat_format.render(list(item.task.prompt))
    return ReplyKey(
        checkpoint=checkpoint.reply_hash,
        suite=suite,
        item=f"{item.scene.index} {content_hash(item.samples.tobytes())}",
        prompt=text_hash(prompt),
        decoding=decoding_in_words(checkpoint),
    )
