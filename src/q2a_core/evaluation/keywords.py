"""Whether a free reply names the true label: by its words, and by no other label's.

"This is the sound of a dog." names dog; a reply that lists every sound names none of them. A denial is not understood:
"no dog" names dog, too. Scoring by the exact string, as the official scripts do for emotions and vocal sounds, marks
every other wording wrong, and is reported beside it.
"""

import re
from collections.abc import Iterable, Mapping

from q2a_core.evaluation.normalisers import WITHOUT_SPACES, normalise_for

SYNONYMS: dict[str, tuple[str, ...]] = {
    "anger": ("angry", "angrily"),
    "joy": ("happy", "happiness", "joyful", "happily"),
    "sadness": ("sad", "sadly"),
    "fear": ("fearful", "afraid", "scared"),
    "disgust": ("disgusted",),
    "surprise": ("surprised",),
    "neutral": ("calm",),
    "male": ("man", "boy"),
    "female": ("woman", "girl"),
    "child": ("kid",),
}
"""Other words for the emotions of MELD and who speaks; `sound_labels` has those for sounds."""


def contains(reply: str, words: str, language: str = "en") -> bool:
    """Whether the words stand in the reply as whole words; in languages without spaces as a run of characters."""
    reply, words = normalise_for(reply, language), normalise_for(words, language)
    if not words:
        return False
    return words in reply if language in WITHOUT_SPACES else f" {words} " in f" {reply} "


def named_labels(
    reply: str,
    labels: Iterable[str],
    *,
    synonyms: Mapping[str, Iterable[str]] = SYNONYMS,
    language: str = "en",
) -> set[str]:
    """The labels that a reply names; longer names are taken first, so that "car horn" doesn't name a car."""
    names = [
        (normalise_for(name, language), label)
        for label in labels
        for name in (label, *_same(label, synonyms))
    ]
    rest, found = normalise_for(reply, language), set()
    edge = "" if language in WITHOUT_SPACES else r"\b"
    for name in sorted({name for name, _ in names if name}, key=len, reverse=True):
        rest, hits = re.subn(f"{edge}{re.escape(name)}{edge}", " | ", rest)
        if hits:
            found |= {label for other, label in names if other == name}
    return found


def names_only(
    reply: str,
    label: str,
    rivals: Iterable[str],
    *,
    synonyms: Mapping[str, Iterable[str]] = SYNONYMS,
    language: str = "en",
) -> bool:
    """Whether a reply names this label and none of its rivals; another word for it is no rival."""
    same = {name.casefold() for name in (label, *_same(label, synonyms))}
    others = {rival for rival in rivals if rival.casefold() not in same}
    named = named_labels(reply, {label, *others}, synonyms=synonyms, language=language)
    return named == {label}


def _same(label: str, synonyms: Mapping[str, Iterable[str]]) -> set[str]:
    """All other names of a label, whichever of them heads the entry."""
    groups = [{head, *others} for head, others in synonyms.items()]
    own = [group for group in groups if label.casefold() in {name.casefold() for name in group}]
    return set().union(*own) - {label}
