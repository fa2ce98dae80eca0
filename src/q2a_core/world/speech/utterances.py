"""Who says what: one utterance, its record on disk, and the plan of the first world.

The first world's plan follows from (split, count, seed) alone. It knows nothing of the engine;
`utterance_book.py` has it spoken, and `levels.py` chooses between the plans of the two worlds.
"""

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from q2a_core.world.speech.sentences import SPOKEN_QUESTIONS, sample_sentence
from q2a_core.world.speech.voices import Split, voices

Language = Literal["en", "de", "zh"]
Emotion = Literal["neutral", "anger", "joy", "sadness", "fear"]
Engine = Literal["espeak", "flite", "rhvoice"]
Trait = Literal["", "man", "woman", "child"]

QUESTION_SHARE = 0.2
RATES = (120, 220)
PITCHES = (20, 80)
SPLIT_SEEDS: dict[Split, int] = {"train": 0, "test": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Utterance:
    """One thing to say and how to say it; the first world leaves all defaults as they are."""

    text: str
    """Normal form: lower-case words and single spaces; German with capitals, Mandarin as characters."""
    voice: str
    """Name for the engine, such as "en-us+f3"."""
    rate: int
    """Words a minute."""
    pitch: int
    """0 to 99 around the voice's own pitch; 50 leaves it."""
    pitch_range: int = 50
    """0 to 99: how far the melody moves; 50 leaves it."""
    size: float = 1.0
    """Pitch and formants times this, as of a smaller head; 1.3 makes a woman's voice a child's."""
    ending: str = ""
    """Mark that only the engine sees: "?" lets the voice rise."""
    language: Language = "en"
    emotion: Emotion = "neutral"
    strength: float = 0.0
    """How strong the emotion is, 0 to 1."""
    engine: Engine = "espeak"
    translations: tuple[tuple[str, str], ...] = ()
    """Pairs of language and text that mean the same."""
    question: str = ""
    """Kind of the question if this asks the assistant something, such as "count"."""
    trait: Trait = ""
    """Who is heard, where that is plain."""

    def translation(self, language: str) -> str | None:
        """The same in another language, if it is known."""
        return dict(self.translations).get(language)


_DEFAULTS = {field.name: field.default for field in fields(Utterance)}


def to_record(item: Utterance) -> dict[str, Any]:
    """An utterance as plain data for JSON, without the fields that are at their defaults."""
    values = {name: getattr(item, name) for name in _DEFAULTS}
    return {name: value for name, value in values.items() if value != _DEFAULTS[name]}


def from_record(record: dict[str, Any]) -> Utterance:
    """The utterance that `to_record` wrote; what else the record holds is ignored."""
    values = {name: record[name] for name in _DEFAULTS if name in record}
    if "translations" in values:
        values["translations"] = tuple((where, text) for where, text in values["translations"])
    return Utterance(**values)


def plan_first(
    split: Split, *, count: int, seed: int, question_share: float = QUESTION_SHARE
) -> list[Utterance]:
    """`count` utterances of a split of the first world.

    Voices come in shuffled rounds, so that all are heard equally often. A shorter plan with the
    same seed is the beginning of a longer one.
    """
    rng = np.random.default_rng([seed, SPLIT_SEEDS[split]])
    names = voices(split)
    questions = SPOKEN_QUESTIONS[split]
    order: list[int] = []
    plan = []
    for _ in range(count):
        if not order:
            order = rng.permutation(len(names)).tolist()
        if rng.random() < question_share:
            text = questions[int(rng.integers(len(questions)))]
        else:
            text = sample_sentence(rng, split=split)
        rate = int(rng.integers(RATES[0], RATES[1] + 1))
        pitch = int(rng.integers(PITCHES[0], PITCHES[1] + 1))
        plan.append(Utterance(text=text, voice=names[order.pop()], rate=rate, pitch=pitch))
    return plan


def plan_hash(plan: list[Utterance]) -> str:
    """Hexadecimal SHA-256 over every utterance of a plan, in order."""
    return hashlib.sha256(json.dumps([to_record(item) for item in plan]).encode()).hexdigest()
