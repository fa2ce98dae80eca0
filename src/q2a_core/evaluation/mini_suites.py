"""The mini Table 2: what the grown world asks on held-out voices, sentences, sounds and rooms, and how it is scored.

Each suite draws its scenes from the test split with its own seed, and asks in the official wording or one that
training never saw. A reply is scored by words, by labels or by the judge, always against the scene.
"""

from collections.abc import Callable
from typing import Any

from q2a_core.errors import Q2AError
from q2a_core.evaluation.metrics import FALSE_YES, accuracy
from q2a_core.evaluation.mini_questions import (
    asked,
    asked_for_absent,
    clean,
    in_noise,
    one_other,
    sampled,
    speaks,
    translate_to,
    translates,
)
from q2a_core.evaluation.mini_scores import bleu_in, cer, judged, right_kinds, rights, says_yes, wer
from q2a_core.evaluation.mini_suite import Answered, MiniSuite
from q2a_core.world.scene import SceneKind
from q2a_core.world.tasks import voice_chat


def _share(hits: Callable[[Answered], list[bool]]) -> dict[str, Any]:
    """A suite's fields for a figure that is the share of hits."""
    return {"hits": hits, "score": lambda answered: accuracy(hits(answered))}


def _recognition(name: str, seed: int, language: str, score, stage_of) -> MiniSuite:
    return MiniSuite(
        name=name,
        metric="WER" if language == "en" else "CER",
        seed=seed,
        kinds=("speech",),
        pose=asked("transcribe"),
        score=score,
        fits=speaks(language),
        stage_of=stage_of,
    )


def _translation(seed: int, source: str, target: str) -> MiniSuite:
    return MiniSuite(
        name=f"translation {source}-{target}",
        metric="BLEU",
        seed=seed,
        kinds=("speech",),
        pose=translate_to(target),
        score=bleu_in(target),
        fits=translates(source, target),
    )


CHAT = "mini AIR-Bench, "
"""What the names of the chat suites begin with; the category follows."""


def _chat(name: str, seed: int, kinds: tuple[SceneKind, ...]) -> MiniSuite:
    return MiniSuite(
        name=CHAT + name,
        metric="judge 0-10",
        seed=seed,
        kinds=kinds,
        pose=sampled,
        score=judged,
    )


def _labelled(
    name: str, seed: int, kinds: tuple[SceneKind, ...], task: str, fits=lambda s: True
) -> MiniSuite:
    return MiniSuite(
        name=name,
        metric="accuracy",
        seed=seed,
        kinds=kinds,
        pose=asked(task),
        **_share(rights),
        fits=fits,
    )


MINI_SUITES = (
    _recognition("recognition", 201, "en", wer, clean),
    _recognition("recognition at 5 dB", 202, "en", wer, in_noise),
    _recognition("recognition, German", 203, "de", cer("de"), clean),
    _recognition("recognition, Chinese", 204, "zh", cer("zh"), clean),
    _translation(205, "en", "de"),
    _translation(206, "de", "en"),
    _translation(207, "en", "zh"),
    _translation(208, "zh", "en"),
    _labelled("emotion", 209, ("speech",), "emotion", speaks("en")),
    _labelled("vocal sound", 210, ("vocal",), "vocal"),
    _labelled("everyday sound", 211, ("sound",), "name_sound"),
    _labelled("sound in mixtures", 212, ("mixed",), "name_sound", one_other),
    MiniSuite(
        name="mode: kind of reply",
        metric="accuracy",
        seed=213,
        kinds=("speech", "sound", "music", "question", "sounds"),
        pose=lambda scene, rng: voice_chat(scene),
        **_share(right_kinds),
    ),
    MiniSuite(
        name="false yes",
        metric=FALSE_YES,
        seed=214,
        kinds=("sound", "vocal", "music", "mixed", "sounds"),
        pose=asked_for_absent,
        **_share(says_yes),
    ),
    _chat("speech", 221, ("speech",)),
    _chat("sound", 222, ("sound", "vocal", "sounds")),
    _chat("music", 223, ("music",)),
    _chat("mixed", 224, ("mixed", "question")),
)
"""The suites of the grown world."""


def suites_named(names: list[str]) -> tuple[MiniSuite, ...]:
    """These suites in the table's order; raises Q2AError for a name that none has."""
    known = [suite.name for suite in MINI_SUITES]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Q2AError(f"no suite is called {unknown[0]!r}; known: {'; '.join(known)}")
    return tuple(suite for suite in MINI_SUITES if suite.name in names)
