"""The mini table's controls: the same question with something added to the clip, and with nothing to hear in it.

Who listens answers alike in the first case and says so in the second.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from q2a_core.evaluation.items import Item
from q2a_core.evaluation.metrics import accuracy
from q2a_core.evaluation.mini_scores import all_right
from q2a_core.evaluation.mini_suite import Answered, MiniSuite, mini_items, mini_scenes
from q2a_core.evaluation.mini_suites import CHAT, MINI_SUITES
from q2a_core.world.quotes import plain
from q2a_core.world.render import render
from q2a_core.world.scene import Event, Scene
from q2a_core.world.speech.utterance_book import UtteranceBook

ROBUST_GAIN_DB = -8.0
"""Level of what is added to a clip for the robustness pairs, relative to the speech in it."""
NOTHING_HEARD = ("silence", "noise", "only a voice", "no")
"""How a reply says that there is nothing to answer."""
Ask = Callable[[str, list[Item]], Answered]
"""Items, and the name that their replies are kept under."""


def robustness(
    ask: Ask, suites: Sequence[MiniSuite], book: UtteranceBook, count: int
) -> list[dict[str, Any]]:
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


def listening(
    ask: Ask, suites: Sequence[MiniSuite], book: UtteranceBook, count: int
) -> list[dict[str, Any]]:
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
