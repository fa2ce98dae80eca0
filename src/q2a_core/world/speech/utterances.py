"""One thing to say and how to say it, its record on disk, and the hash of a plan of many.

Nothing here knows the engine: `levels.py` makes the plans, and `utterance_book.py` has them spoken.
"""

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any, Literal

from q2a_core.world.speech.voices import Split

Language = Literal["en", "de", "zh"]
Emotion = Literal["neutral", "anger", "joy", "sadness", "fear"]
Engine = Literal["espeak", "flite", "rhvoice", "pico"]
Trait = Literal["", "man", "woman", "child"]

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


def plan_hash(plan: list[Utterance]) -> str:
    """Hexadecimal SHA-256 over every utterance of a plan, in order."""
    return hashlib.sha256(json.dumps([to_record(item) for item in plan]).encode()).hexdigest()
