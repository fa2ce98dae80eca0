"""The voices of the grown world: eight English accents, German and Mandarin, times the variants.

Pitch and head size vary as well, so that voices are many more than their names; who is heard, a man,
a woman or a child, is said only where the pitch is plainly so. `F0` was measured: the median
pitch in hertz of every variant in American English, at pitch 50 (Annie and grandma: of short words).
"""

from dataclasses import dataclass

import numpy as np

from q2a_core.world.speech.utterances import Language, Trait
from q2a_core.world.speech.voices import TEST_VARIANTS, TRAIN_VARIANTS, Split

TRAIN_ACCENTS_GROWN: tuple[str, ...] = (
    *("en-us", "gmw/en", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-gb-x-gbclan"),
    "en-gb-x-gbcwmd",
)
TEST_ACCENTS_GROWN: tuple[str, ...] = (*TRAIN_ACCENTS_GROWN, "en-us-nyc")
FOREIGN_VOICES: dict[Language, str] = {"de": "de", "zh": "cmn"}

# "caleb" whispers, "announcer" and "Marco" echo
TRAIN_VARIANTS_GROWN: tuple[str, ...] = (
    *(name for name in TRAIN_VARIANTS if name not in ("caleb", "announcer", "Marco")),
    *("Storm", "Tweaky", "edward2", "iven2", "iven3", "iven4", "klatt3", "klatt4", "klatt5"),
    *("klatt6", "mike2", "steph2", "steph3", "AnxiousAndy", "kaukovalta"),
)
TEST_VARIANTS_GROWN = TEST_VARIANTS

F0: dict[str, int] = {
    **{"": 105, "Alex": 105, "Alicia": 258, "Andrea": 250, "Andy": 98, "Annie": 220},
    **{"AnxiousAndy": 101, "Denis": 102, "Diogo": 108, "Gene": 98, "Gene2": 118, "Henrique": 113},
    **{"Hugo": 114, "Jacky": 118, "Lee": 98, "Michael": 112, "Mario": 113, "Mike": 94},
    **{"Mr serious": 103, "Nguyen": 158, "Reed": 120, "Storm": 86, "Tweaky": 103, "adam": 105},
    **{"anika": 271, "antonio": 113, "aunty": 172, "belinda": 232, "benjamin": 105, "boris": 106},
    **{"david": 77, "ed": 131, "edward": 104, "edward2": 105, "f1": 184, "f2": 202, "f3": 222},
    **{"f4": 184, "f5": 212, "grandma": 192, "grandpa": 105, "gustave": 110, "ian": 85},
    **{"iven": 105, "iven2": 105, "iven3": 105, "iven4": 105, "john": 103, "kaukovalta": 107},
    **{"klatt3": 105, "klatt4": 104, "klatt5": 104, "klatt6": 105, "linda": 232, "m1": 97},
    **{"m2": 104, "m3": 109, "m4": 96, "m5": 105, "m6": 105, "m7": 111, "m8": 89},
    **{"marcelo": 102, "max": 105, "michel": 109, "miguel": 115, "mike2": 93, "norbert": 103},
    **{"pablo": 117, "paul": 88, "pedro": 105, "quincy": 89, "rob": 116, "robert": 101},
    **{"sandro": 103, "shelby": 188, "steph": 188, "steph2": 188, "steph3": 188, "travis": 107},
    **{"victor": 98, "zac": 364},
}
WOMEN = frozenset(
    (
        *("Alicia", "Andrea", "Annie", "anika", "aunty", "belinda", "f1", "f2", "f3", "f4", "f5"),
        *("grandma", "linda", "steph", "steph2", "steph3"),
    )
)
# a high voice in a small head
CHILDREN = frozenset({"zac"})
# between a man's and a woman's pitch, or now one and now the other
NEITHER = frozenset({"Nguyen", "shelby", "grandma"})
# the old make no children
NOT_SHRUNK = frozenset({"aunty", "grandma"})

FACTOR_PITCH = (0, 20, 35, 50, 65, 80, 99)
FACTOR = (0.68, 0.78, 0.88, 1.0, 1.15, 1.33, 1.62)
# a narrow melody stays low, a wide one goes up
FACTOR_RANGE = (0, 25, 50, 75, 99)
RANGE_FACTOR = (0.83, 0.91, 1.0, 1.07, 1.16)
LANGUAGE_FACTOR: dict[Language, float] = {"en": 1.0, "de": 0.93, "zh": 0.82}
# narrower than what is heard as a man, a woman and a child: short words end low
MAN_BELOW, WOMAN, CHILD_ABOVE = 140.0, (186.0, 240.0), 300.0
KINDS: tuple[Trait, ...] = ("man", "woman", "child")
SIZES: dict[Trait, tuple[float, float]] = {
    **{"man": (0.93, 1.07), "woman": (0.97, 1.1), "child": (1.3, 1.48)},
}
# 48 % men, 32 % women, 20 % children
KIND_BOUNDS = (0.48, 0.8)


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice and the size of the head it comes from."""

    voice: str
    size: float


def variant_of(voice: str) -> str:
    """The variant in the name of a voice; "" is the plain voice."""
    return voice.partition("+")[2]


def variants(split: Split) -> tuple[str, ...]:
    """The variants of a split."""
    return TRAIN_VARIANTS_GROWN if split == "train" else TEST_VARIANTS_GROWN


def accents(split: Split, language: Language) -> tuple[str, ...]:
    """The engine's names of a language for a split."""
    if language != "en":
        return (FOREIGN_VOICES[language],)
    return TRAIN_ACCENTS_GROWN if split == "train" else TEST_ACCENTS_GROWN


def grown_voices(split: Split, language: Language = "en") -> tuple[str, ...]:
    """The names of all voices of a split in a language, in fixed order."""
    return tuple(
        f"{accent}+{variant}" if variant else accent
        for variant in variants(split)
        for accent in accents(split, language)
    )


def predicted_f0(
    voice: str, *, pitch: int, pitch_range: int, size: float, language: Language
) -> float:
    """About the median pitch in hertz of an utterance."""
    factor = float(np.interp(pitch, FACTOR_PITCH, FACTOR))
    factor *= float(np.interp(pitch_range, FACTOR_RANGE, RANGE_FACTOR))
    return F0[variant_of(voice)] * factor * size * LANGUAGE_FACTOR[language]


def trait_of(
    voice: str,
    *,
    pitch: int = 50,
    pitch_range: int = 50,
    size: float = 1.0,
    language: Language = "en",
) -> Trait | None:
    """Man, woman or child where that is plainly heard, else None."""
    variant = variant_of(voice)
    f0 = predicted_f0(voice, pitch=pitch, pitch_range=pitch_range, size=size, language=language)
    if variant in NEITHER:
        return None
    if variant in CHILDREN or (variant in WOMEN and size >= 1.2):
        return "child" if f0 > CHILD_ABOVE else None
    if variant in WOMEN:
        return "woman" if WOMAN[0] < f0 < WOMAN[1] else None
    return "man" if f0 < MAN_BELOW else None


def sample_speaker(rng: np.random.Generator, *, split: Split, language: Language) -> Speaker:
    """A speaker of a split: men, women and children by their shares, then any of their voices."""
    draw = rng.random()
    kind = KINDS[sum(draw >= bound for bound in KIND_BOUNDS)]
    if kind == "man":
        pool = tuple(name for name in variants(split) if name not in WOMEN | CHILDREN)
    else:
        source = WOMEN if kind == "woman" else (WOMEN - NOT_SHRUNK) | CHILDREN
        pool = tuple(name for name in variants(split) if name in source)
    variant = pool[int(rng.integers(len(pool)))]
    places = accents(split, language)
    accent = places[int(rng.integers(len(places)))]
    voice = f"{accent}+{variant}" if variant else accent
    low, high = SIZES["man" if variant in CHILDREN else kind]
    return Speaker(voice, round(float(rng.uniform(low, high)), 3))
