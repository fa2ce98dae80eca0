"""Who says what: plans of utterances, decided by seed before anything is spoken.

A plan follows from (split, count, seed) alone. It knows nothing of the engine;
`utterance_book.py` has it spoken.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np

from q2a_core.world.sentences import SPOKEN_QUESTIONS, sample_sentence
from q2a_core.world.voices import Split, voices

QUESTION_SHARE = 0.2
RATES = (120, 220)
PITCHES = (20, 80)
SPLIT_SEEDS: dict[Split, int] = {"train": 0, "test": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Utterance:
    """One thing to say and how to say it."""

    text: str
    """Normal form: lower-case words and single spaces."""
    voice: str
    """Name for the engine, such as "en-us+f3"."""
    rate: int
    """Words a minute."""
    pitch: int
    """0 to 99 around the voice's own pitch; 50 leaves it."""


def plan_utterances(
    split: Split, *, count: int, seed: int, question_share: float = QUESTION_SHARE
) -> list[Utterance]:
    """`count` utterances of a split.

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
    return hashlib.sha256(json.dumps([asdict(item) for item in plan]).encode()).hexdigest()
