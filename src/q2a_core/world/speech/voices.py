"""The voices of the mini world: English accents of espeak-ng times its variants, split by timbre.

The first world keeps to three accents; the engine has more, and real people have more still.

Names are the engine's: `en-us+f3` is the accent `en-us` spoken by the variant `f3`, and the accent
alone is its plain voice. Every combination was tried with the engine of espeakng-loader 0.2.4: all
are accepted, and no two give the same samples. Test voices have a variant that training never
hears, in every accent, one of which training never hears either.
"""

from typing import Literal

Split = Literal["train", "test"]

# "en-gb" is refused by the engine, its file name is not
TRAIN_ACCENTS: tuple[str, ...] = ("en-us", "gmw/en", "en-gb-x-rp")
TEST_ACCENTS: tuple[str, ...] = (*TRAIN_ACCENTS, "en-us-nyc")

# "" is the plain voice; left out: "fast" (same samples as plain), the robots, the echoes, the whisperers
TRAIN_VARIANTS: tuple[str, ...] = (
    *("", "Alex", "Alicia", "Andrea", "Andy", "Diogo", "Gene", "Gene2", "Henrique", "Hugo"),
    *("Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "Mr serious", "Nguyen", "Reed", "adam"),
    *("anika", "announcer", "antonio", "aunty", "belinda", "benjamin", "caleb", "ed", "edward"),
    *("f1", "f3", "f5", "grandpa", "ian", "iven", "john", "linda", "m1", "m3", "m4", "m5", "m7"),
    *("m8", "marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro", "rob"),
    *("robert", "sandro", "shelby", "steph", "travis", "zac"),
)
TEST_VARIANTS: tuple[str, ...] = (
    *("Annie", "Denis", "boris", "david", "f2", "f4", "grandma", "gustave", "m2", "m6"),
    *("quincy", "victor"),
)


def _combine(accents: tuple[str, ...], variants: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{a}+{v}" if v else a for v in variants for a in accents)


def voices(split: Split) -> tuple[str, ...]:
    """The voices of a split, in fixed order."""
    if split == "train":
        return _combine(TRAIN_ACCENTS, TRAIN_VARIANTS)
    return _combine(TEST_ACCENTS, TEST_VARIANTS)
