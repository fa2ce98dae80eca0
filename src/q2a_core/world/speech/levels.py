"""Plans: what is said in the grown world, and the choice between it and the first one.

A plan follows from (level, split, count, seed, engines) alone. The grown world speaks English of all
families, German and Mandarin, in four emotions besides the neutral voice.
"""

from typing import Literal

import numpy as np

from q2a_core.errors import SpeechError
from q2a_core.world.speech.prosody import EMOTION_SHARES, EMOTIONS, STRENGTH, settings
from q2a_core.world.speech.questions_grown import sample_question
from q2a_core.world.speech.recorded_engines import RECORDED
from q2a_core.world.speech.recorded_voices import as_recorded
from q2a_core.world.speech.sentences_grown import sample_english, split_of_text
from q2a_core.world.speech.translations import Triple, sample_triple, weighted
from q2a_core.world.speech.utterances import (
    SPLIT_SEEDS,
    Emotion,
    Engine,
    Language,
    Utterance,
)
from q2a_core.world.speech.voices import Split
from q2a_core.world.speech.voices_grown import sample_speaker, trait_of

Level = Literal["first", "grown"]
ENGINES: tuple[Engine, ...] = ("espeak",)

QUESTION_SHARE = 0.16
# of what is no question to the assistant: English of its own, then the parallel templates by language
SOURCES: tuple[tuple[Language, bool], ...] = (
    ("en", False),
    ("en", True),
    ("de", True),
    ("zh", True),
)
SOURCE_SHARES: dict[Split, tuple[float, ...]] = {
    "train": (0.43, 0.27, 0.15, 0.15),
    "test": (0.3, 0.3, 0.2, 0.2),
}
SINGLE_SHARES: dict[Split, tuple[float, float]] = {"train": (0.46, 0.32), "test": (0.3, 0.25)}
"""How often a single word is said: in English of its own, and in the parallel templates."""
# the seed's third number keeps the grown streams apart from the first world's
GROWN_STREAM = 101
ENGINE_STREAMS: dict[Engine, int] = {"flite": 102, "rhvoice": 103, "pico": 104}
RISING = 0.6
FALLING = 0.3


def plan_utterances(
    split: Split,
    *,
    count: int,
    seed: int,
    level: Level = "grown",
    engines: tuple[Engine, ...] = ENGINES,
) -> list[Utterance]:
    """`count` utterances of a split of a world; a shorter plan is the beginning of a longer one.

    `engines` may add "flite", "rhvoice" and "pico" in the grown world: each then speaks a part of the training
    utterances in its languages. Raises SpeechError for a world that does not exist.
    """
    if level == "first":
        # not above: the first world's plan is made of what this room holds
        from q2a_core.world.first_world.plan import plan_first

        return plan_first(split, count=count, seed=seed)
    if level != "grown":
        raise SpeechError(f"there is no world {level!r}; choose first or grown")
    rng = np.random.default_rng([seed, SPLIT_SEEDS[split], GROWN_STREAM])
    plan = [_grown(rng, split) for _ in range(count)]
    for engine, stream in ENGINE_STREAMS.items():
        if engine in engines and split == "train":
            rng = np.random.default_rng([seed, SPLIT_SEEDS[split], stream])
            plan = [_perhaps_recorded(item, engine, rng) for item in plan]
    return plan


def _perhaps_recorded(item: Utterance, engine: Engine, rng: np.random.Generator) -> Utterance:
    chosen, number = rng.random() < RECORDED[engine].share, int(rng.integers(2**32))
    speaks = RECORDED[engine].voices_of(item.language)
    if not chosen or not speaks or item.engine != "espeak":
        return item
    return as_recorded(item, engine, np.random.default_rng(number))


def _grown(rng: np.random.Generator, split: Split) -> Utterance:
    """One utterance of the grown world."""
    language: Language = "en"
    question, translations = "", ()
    if rng.random() < QUESTION_SHARE:
        question, text = sample_question(rng, split=split)
    else:
        own, parallel = SINGLE_SHARES[split]
        language, translated = SOURCES[weighted(rng, SOURCE_SHARES[split])]
        if translated:
            text, translations = _spoken(_triple(rng, split, parallel), language)
        else:
            text = sample_english(rng, split=split, single_share=own)
    emotion: Emotion = "neutral"
    if language == "en":
        emotion = EMOTIONS[weighted(rng, EMOTION_SHARES)]
    strength = 0.0 if emotion == "neutral" else round(float(rng.uniform(*STRENGTH)), 3)
    how = settings(rng, emotion, strength)
    speaker = sample_speaker(rng, split=split, language=language)
    trait = trait_of(
        speaker.voice,
        pitch=how.pitch,
        pitch_range=how.pitch_range,
        size=speaker.size,
        language=language,
    )
    return Utterance(
        text=text,
        voice=speaker.voice,
        # a smaller head plays faster: the engine speaks slower, so that the speed stays
        rate=max(round(how.rate / speaker.size), 80),
        pitch=how.pitch,
        pitch_range=how.pitch_range,
        size=speaker.size,
        ending=_ending(rng, text, question),
        language=language,
        emotion=emotion,
        strength=strength,
        translations=translations,
        question=question,
        trait=trait or "",
    )


def _triple(rng: np.random.Generator, split: Split, single_share: float) -> Triple:
    while True:
        triple = sample_triple(rng, single_share=single_share)
        if split_of_text(triple.en) in (split, None):
            return triple


def _spoken(triple: Triple, language: Language) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What is said in that language, and what goes with it as translations."""
    if language == "en":
        return triple.en, (("de", triple.de), ("zh", triple.zh))
    return (triple.de if language == "de" else triple.zh), (("en", triple.en),)


def _ending(rng: np.random.Generator, text: str, question: str) -> str:
    """A mark for the engine's melody: most questions rise, the others may fall or go on."""
    draw = rng.random()
    asks = question or text.endswith("吗") or text.split()[0] in ASKING
    if asks:
        return "?" if draw < RISING else ""
    return "." if draw < FALLING else "!" if draw > 0.95 else ""


ASKING = frozenset(
    (
        *("where", "who", "when", "how", "why", "what", "which", "is", "are", "does", "do", "can"),
        *("wo", "ist"),
    )
)
