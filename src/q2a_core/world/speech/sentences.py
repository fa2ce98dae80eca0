"""What is said in the mini world: seeded sentences and spoken questions.

Sentences are in the normal form, lower-case words and single spaces. Which split a sentence
belongs to follows from its text alone, so no order of sampling can leak one into the other; single
words are heard in training only.
"""

import hashlib

import numpy as np

from q2a_core.world.speech.lexicon import ENGLISH, FIRST_WORLD_FAMILIES, english_words
from q2a_core.world.speech.voices import Split

TEST_PERCENT = 15

# the function words alone would be letters and mumbles
SINGLE_WORD_FAMILIES = tuple(f for f in FIRST_WORLD_FAMILIES if f != "function_words")

# all mean "what is the sound in this clip?"; the test wordings are made of the same words
SPOKEN_QUESTIONS: dict[Split, tuple[str, ...]] = {
    "train": (
        "what is this sound",
        "what is that sound",
        "what do you hear",
        "what was that sound",
        "what was that",
        "what sound is this",
        "what sound was that",
        "what sound do you hear",
        "which sound do you hear",
        "what can you hear",
        "tell me what you hear",
        "tell me what this sound is",
        "can you tell me what that was",
        "which sound was that",
    ),
    "test": (
        "which sound is this",
        "what was this sound",
        "what sound can you hear",
        "tell me what that sound was",
        "can you tell me what you hear",
        "tell me which sound this is",
    ),
}


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


def _word(rng: np.random.Generator) -> str:
    return _pick(rng, english_words(SINGLE_WORD_FAMILIES))


def _digits(rng: np.random.Generator) -> str:
    return " ".join(_pick(rng, ENGLISH["numbers"][:10]) for _ in range(rng.integers(2, 6)))


def _number(rng: np.random.Generator) -> str:
    if rng.random() < 0.5:
        return _pick(rng, ENGLISH["numbers"][2:])
    tens = _pick(rng, ENGLISH["tens"])
    return tens if rng.random() < 0.4 else f"{tens} {_pick(rng, ENGLISH['numbers'][1:10])}"


def _quality(rng: np.random.Generator) -> str:
    return _pick(rng, ENGLISH["colours"] if rng.random() < 0.6 else ENGLISH["adjectives"])


def _noun(rng: np.random.Generator) -> str:
    return _pick(rng, ENGLISH["animals"] if rng.random() < 0.5 else ENGLISH["household"])


def _thing(rng: np.random.Generator) -> str:
    noun = _noun(rng)
    return f"{_quality(rng)} {noun}" if rng.random() < 0.6 else noun


def _phrase(rng: np.random.Generator) -> str:
    kind = int(rng.integers(6))
    if kind == 0:
        return f"{_number(rng)} {_pick(rng, ENGLISH['plurals'])}"
    if kind == 1:
        return f"{_number(rng)} {_quality(rng)} {_pick(rng, ENGLISH['plurals'])}"
    if kind == 2:
        return f"{_pick(rng, ENGLISH['adjectives'])} {_pick(rng, ENGLISH['colours'])} {_noun(rng)}"
    if kind == 3:
        return f"a {_noun(rng)} and a {_noun(rng)}"
    if kind == 4:
        return f"{_number(rng)} and {_number(rng)}"
    return f"{_quality(rng)} {_noun(rng)}"


def _sentence(rng: np.random.Generator) -> str:
    kind = int(rng.integers(7))
    household = ENGLISH["household"]
    if kind <= 1:
        verb = _pick(rng, ENGLISH["verbs"])
        animal = _pick(rng, ENGLISH["animals"])
        if rng.random() < 0.3:
            return f"the {animal} {verb} {_number(rng)} {_pick(rng, ENGLISH['plurals'])}"
        return f"the {animal} {verb} a {_thing(rng)}"
    if kind <= 3:
        command = f"{_pick(rng, ENGLISH['commands'])} the {_thing(rng)}"
        return f"please {command}" if rng.random() < 0.5 else command
    if kind == 4:
        return f"the {_noun(rng)} is {_quality(rng)}"
    if kind == 5:
        return f"the {_thing(rng)} is on the {_pick(rng, household)}"
    return f"is the {_noun(rng)} {_quality(rng)}"


def split_of_sentence(text: str) -> Split:
    """The split that a text in normal form belongs to, by its hash; single words train."""
    for split, questions in SPOKEN_QUESTIONS.items():
        if text in questions:
            return split
    if " " not in text:
        return "train"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    return "test" if number % 100 < TEST_PERCENT else "train"


def sample_sentence(rng: np.random.Generator, *, split: Split) -> str:
    """A sentence of that split: a word (training only), a digit string, a phrase or a sentence."""
    kinds = (_word, _digits, _phrase, _sentence)
    shares = (0.25, 0.2, 0.25, 0.3) if split == "train" else (0.0, 0.3, 0.3, 0.4)
    kind = kinds[int(rng.choice(4, p=shares))]
    while True:
        text = kind(rng)
        if split_of_sentence(text) == split:
            return text
