"""The judge of the mini world: 0 to 10 points for a reply, from the scene's truth, with reasons.

A stand-in for human annotators and for GPT-4 in AIR-Bench. A question asks for facts; each that the reply states earns
its share of ten points. What contradicts the truth costs, and a wrong main fact leaves two points at most, however
fluent the rest is. Words are compared, not meanings: it judges the mini models' plain English and nothing else.
"""

import re
from dataclasses import dataclass

from q2a_core.world.answers import FEELINGS, TIMES
from q2a_core.world.facts import Fact, facts_of, label_of
from q2a_core.world.naming import NAMES, names_of, place_of, without_denials
from q2a_core.world.quotes import misheard_words, split_quote, transcripts, without
from q2a_core.world.scene import Scene
from q2a_core.world.task import Task

WRONG_MAIN = 2.0
"""Most points of a reply that gets a main fact wrong or leaves all main facts out."""
INVENTED = 3.0
"""Points that each thing costs which is named and is not there, or not so."""
UNSURE = re.compile(
    r"\b(?:no idea|no way to (?:tell|say|know)|not sure|unsure|(?:hard|impossible|unable) to (?:tell|say)"
    r"|(?:(?:don|doesn|didn) t|(?:do|does|did) not) know|(?:(?:can|couldn) t|(?:can|could) ?not) (?:tell|say))\b"
)
"""A reply that says so of itself is no answer, whatever it names."""
SPEAKS = (
    *("says", "said", "saying", "speaks", "speaking", "talks", "talking", "voice"),
    *("man", "woman", "child"),
)
"""Words that put a voice into a clip."""
CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "count": {str(number): (TIMES[number],) for number in range(1, 5)},
    "emotion": {name: (name, word) for name, word in FEELINGS.items()},
    "speaker": {"man": ("man", "male"), "woman": ("woman", "female"), "child": ("child",)},
    "tempo": {name: (name,) for name in ("slow", "medium", "fast")},
    "mode": {"major": ("major",), "minor": ("minor",)},
    "mood": {name: (name,) for name in ("happy", "calm", "sad", "tense")},
    "nothing": {
        "silence": ("silence", "nothing"),
        "noise": ("noise",),
        "voice": ("only a voice",),
        "no speech": ("no speech",),
        "no music": ("no music",),
        "no sound": ("no such sound",),
    },
}
"""Closed questions: kind of fact, its values, and the words that state each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Points and why."""

    score: float  # 0 to 10
    reasons: tuple[str, ...]


def judge(scene: Scene, task: Task, reply: str) -> Verdict:
    """Points for a reply to the last question of `task` about `scene`."""
    facts = facts_of(scene, task)
    own, quote = split_quote(reply)
    heard = transcripts(reply) if quote is None else [reply, quote]
    speech = scene.first("speech")
    own = without(own, "" if speech is None else speech.label)
    if UNSURE.search(own):
        return Verdict(score=0.0, reasons=("does not know",))
    reasons, earned, wrong_main = [], 0.0, False
    own = without_denials(own)
    for fact in facts:
        share, reason = (
            _weigh_words(fact.value, heard) if fact.kind == "words" else _weigh(fact, own)
        )
        earned += share
        reasons.append(reason)
        wrong_main = wrong_main or (fact.main and share == 0.0)
    score = 10.0 * earned / len(facts)
    if wrong_main:
        score = min(score, WRONG_MAIN)
    for invented in _invented(scene, task, own):
        score -= INVENTED
        reasons.append(f"names {invented}, which is not there")
    return Verdict(score=round(max(score, 0.0), 2), reasons=tuple(reasons))


def _weigh(fact: Fact, said: str) -> tuple[float, str]:
    """Share of the fact's points that a reply earns, and why."""
    if fact.kind == "sound":
        named = any(f" {word} " in said for word in names_of(fact.value))
        return (1.0, f"names {fact.value}") if named else (0.0, f"leaves out {fact.value}")
    if fact.kind == "first":
        places = {label: place for label in NAMES if (place := place_of(label, said)) is not None}
        first = min(places, key=places.__getitem__, default=None)
        right = first == fact.value
        return (1.0, f"{fact.value} first") if right else (0.0, f"first: {first}, not {fact.value}")
    stated = _yes_or_no(said) if fact.kind == "yes_no" else _stated(fact.kind, said)
    if stated == [fact.value]:
        return 1.0, f"{fact.kind} is {fact.value}"
    return 0.0, f"{fact.kind}: {' and '.join(stated) or 'nothing said'}, not {fact.value}"


def _stated(kind: str, said: str) -> list[str]:
    """The values of a closed question that a reply names."""
    return [
        value
        for value, words in CHOICES[kind].items()
        if any(f" {word} " in said for word in words)
    ]


def _yes_or_no(said: str) -> list[str]:
    """What the first word says, or a sentence that says the same without it."""
    first = said.split()[:1]
    if first in (["yes"], ["no"]):
        return first
    if said.startswith((" there is no ", " there are no ", " i no ")):
        return ["no"]
    return ["yes"] if said.startswith((" there is ", " there are ", " i hear ")) else []


def _weigh_words(truth: str, heard: list[str]) -> tuple[float, str]:
    """No word wrong, missing or too many earns everything, wrong in half of them nothing."""
    wrong, words = min(misheard_words(truth, text) for text in heard)
    share = max(0.0, 1.0 - 2.0 * wrong / max(words, 1))
    return share, "all words" if not wrong else f"{wrong} of {words} words wrong"


def _invented(scene: Scene, task: Task, said: str) -> list[str]:
    """What the reply names and the scene lacks: sounds, a voice, and what is told wrong of a voice or a count."""
    if task.name in ("transcribe", "translate", "emotion", "speaker"):
        return []
    there = {label_of(event) for event in scene.events}
    sounds = [
        label
        for label in NAMES
        if label not in there and label != "speech" and place_of(label, said) is not None
    ]
    return sounds + _contradicted(scene, said)


def _contradicted(scene: Scene, said: str) -> list[str]:
    """What the reply says of voices, feelings and counts that isn't so; where the scene is silent, anything goes."""
    speech = scene.first("speech")
    spoken = None if speech is None else speech.spoken
    wrong: list[str] = []
    if speech is None and scene.first("vocal") is None:
        wrong += ["a voice"] if any(f" {word} " in said for word in SPEAKS) else []
    if spoken is not None and spoken.trait and scene.first("vocal") is None:
        wrong += [f"a {who}" for who in _stated("speaker", said) if who != spoken.trait]
    if scene.first("music") is None:
        feels = "neutral" if spoken is None else spoken.emotion
        wrong += [name for name in _stated("emotion", said) if name not in (feels, "neutral")]
    counts = {str(event.count) for event in scene.events if event.count is not None}
    if counts:
        wrong += [TIMES[int(n)] for n in _stated("count", said) if n not in counts]
    return wrong
