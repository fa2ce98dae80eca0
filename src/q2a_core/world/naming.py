"""The words by which a reply names what is heard: sounds, vocal sounds, instruments and voices."""

import re

from q2a_core.world.answers import FEELINGS, NOUNS, bare, with_article
from q2a_core.world.sounds.music import TUNE_INSTRUMENTS
from q2a_core.world.speech.lexicon import plural


def names_of(label: str) -> tuple[str, ...]:
    """The words that name a sound, a vocal sound, an instrument or speech."""
    return NAMES[label]


def _names() -> dict[str, tuple[str, ...]]:
    names = {label: (bare(noun),) for label, noun in NOUNS.items()}
    names |= {name: (bare(with_article(name)),) for name in TUNE_INSTRUMENTS}
    phrases = {
        "keyboard": ("keyboard", "typing"),
        "knocking": ("knocking", "knocks"),
        "glass": ("breaking glass", "glass breaking", "glass"),
        "horn": ("car horn", "horn"),
        "laughter": ("laughter", "laughing"),
        "sigh": ("sigh", "sighing"),
        "cough": ("cough", "coughing"),
        "throat_clearing": ("throat clearing", "clearing their throat"),
        "sneeze": ("sneeze", "sneezing"),
        "sniff": ("sniff", "sniffing"),
        "speech": ("voice", "person", "man", "woman", "child", "says", "speaks", "you said"),
    }
    return {
        label: tuple(dict.fromkeys(form for word in words for form in (word, plural(word))))
        for label, words in (names | phrases).items()
    }


NAMES = _names()
"""Label to the words that name it."""


def place_of(label: str, said: str) -> int | None:
    """Where a reply first names a label."""
    places = [place for word in NAMES[label] if (place := said.find(f" {word} ")) >= 0]
    return min(places, default=None)


QUALITIES = (
    *FEELINGS,
    *FEELINGS.values(),
    *("male", "female", "slow", "medium", "fast", "major", "minor", "tense"),
)
"""Words that say how something is, and can be denied as a name can."""


def _denial() -> re.Pattern[str]:
    words = sorted({*QUALITIES, *(name for names in NAMES.values() for name in names)}, key=len)
    thing = rf"(?: an?| the| any)? (?:{'|'.join(reversed(words))})"
    verb = r"(?: (?:hear|sound|seem|be))?"
    never = (
        rf"(?:no(?: one| sound)?|nobody|nor|without|isn t|wasn t|cannot{verb}"
        rf"|(?:(?:do|does|did|can|could) )?not{verb}|(?:don|doesn|didn|can|couldn) t{verb})"
    )
    return re.compile(
        rf"(?<= ){never}(?: like)?(?: the sound)?(?: of)?{thing}(?: (?:or|nor)(?: of)?{thing})*(?= )"
    )


_DENIAL = _denial()


def without_denials(said: str) -> str:
    """ "There is no dog" and "it does not sound like a cat or a cow" name none of them."""
    return _DENIAL.sub("no", said)
