"""Parallel sentences: one draw gives the same said in English, German and Mandarin.

The templates are simple enough to be right in every language: German articles, cases and adjective
endings follow from the noun's gender, Mandarin measure words stand in the lexicon. No two
English texts give the same German or Mandarin text, so the split of the English one is good for all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from q2a_core.world.speech.lexicon import (
    ENGLISH,
    GERMAN,
    GERMAN_NUMBER_PARTS,
    GERMAN_PLURALS,
    MANDARIN,
    PARALLEL_COMMANDS,
    WEAK_NOUNS,
    plural,
)

# German adjective endings after "ein", and without an article, by gender
MIXED_NOMINATIVE = {"der": "er", "die": "e", "das": "es"}
MIXED_ACCUSATIVE = {"der": "en", "die": "e", "das": "es"}
EIN_NOMINATIVE = {"der": "ein", "die": "eine", "das": "ein"}
EIN_ACCUSATIVE = {"der": "einen", "die": "eine", "das": "ein"}
THE_ACCUSATIVE = {"der": "den", "die": "die", "das": "das"}

# what can be said of what, in all three languages
OF_ALL = ("big", "small")
OF_THINGS = ("new", "old", "hot", "cold", "loud")
OF_BEINGS = ("quiet", "happy", "sad", "angry")
LOUD_THINGS = ("clock", "bell", "phone", "keyboard", "door")
WARM_THINGS = ("cup", "spoon", "lamp", "bottle", "window", "glass", "knife", "bed", "table")
EATEN = ("fish", "duck", "sheep", "pig")
OBJECT_VERBS = ("sees", "has", "wants", "finds", "hears")
SINGLE_FAMILIES = ("numbers", "colours", "animals", "household", "adjectives", "people", "times")
SINGLE_OTHERS = ("yes", "no", "please", "sound", "sees", "finds", "hears", "says", "eats", "sleeps")


@dataclass(frozen=True, slots=True)
class Triple:
    """The same in three languages."""

    en: str
    de: str
    zh: str


def _table(lexicon: dict[str, tuple[tuple[str, str, str], ...]]) -> dict[str, tuple[str, str]]:
    return {gloss: (word, mark) for rows in lexicon.values() for gloss, word, mark in rows}


DE, ZH = _table(GERMAN), _table(MANDARIN)
ANIMALS, HOUSEHOLD, PEOPLE, COLOURS = (
    tuple(gloss for gloss, _, _ in GERMAN[name])
    for name in ("animals", "household", "people", "colours")
)
BEINGS, NOUNS = ANIMALS + PEOPLE, ANIMALS + HOUSEHOLD + PEOPLE


def english_a(phrase: str) -> str:
    """A phrase with "a" or "an"."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def german_number(number: int) -> str:
    """0 to 100 as a German word."""
    if number <= 12:
        return GERMAN["numbers"][number][1]
    if number == 100:
        return "einhundert"
    if number in GERMAN_NUMBER_PARTS:
        return GERMAN_NUMBER_PARTS[number]
    unit = GERMAN["numbers"][number % 10][1]
    return ("ein" if unit == "eins" else unit) + "und" + GERMAN_NUMBER_PARTS[number // 10 * 10]


def mandarin_number(number: int) -> str:
    """0 to 100 in characters."""
    signs = [word for _, word, _ in MANDARIN["numbers"]]
    if number <= 10:
        return signs[number]
    if number == 100:
        return "一百"
    tens = "" if number < 20 else signs[number // 10]
    return tens + "十" + (signs[number % 10] if number % 10 else "")


def english_number(number: int) -> str:
    """0 to 100 in words."""
    if number <= 12:
        return ENGLISH["numbers"][number]
    if number < 20:
        return ENGLISH["teens"][number - 13]
    if number == 100:
        return "one hundred"
    tens = ENGLISH["tens"][number // 10 - 2]
    return f"{tens} {ENGLISH['numbers'][number % 10]}" if number % 10 else tens


def german_adjective(gloss: str, ending: str) -> str:
    """An adjective with its ending; "rosa" never takes one, and "leise" has its "e" already."""
    word = DE[gloss][0]
    return word if word == "rosa" else word.removesuffix("e") + ending


def german_a(noun: str, *, quality: str = "", accusative: bool = False) -> str:
    """ "ein roter Tisch", or the object "einen roten Tisch"."""
    word, gender = DE[noun]
    article = (EIN_ACCUSATIVE if accusative else EIN_NOMINATIVE)[gender]
    endings = MIXED_ACCUSATIVE if accusative else MIXED_NOMINATIVE
    adjective = f"{german_adjective(quality, endings[gender])} " if quality else ""
    return f"{article} {adjective}{WEAK_NOUNS.get(word, word) if accusative else word}"


def german_the(noun: str, *, quality: str = "", accusative: bool = False) -> str:
    """ "der rote Tisch", or the object "den roten Tisch"."""
    word, gender = DE[noun]
    article = THE_ACCUSATIVE[gender] if accusative else gender
    ending = "en" if accusative and gender == "der" else "e"
    adjective = f"{german_adjective(quality, ending)} " if quality else ""
    return f"{article} {adjective}{WEAK_NOUNS.get(word, word) if accusative else word}"


def german_several(number: int, noun: str, quality: str = "") -> str:
    """ "drei rote Tische"."""
    adjective = f"{german_adjective(quality, 'e')} " if quality else ""
    return f"{german_number(number)} {adjective}{GERMAN_PLURALS[DE[noun][0]]}"


def mandarin_with(quality: str, noun: str) -> str:
    """A noun and what it is like: 红色的杯子, 大狗."""
    if not quality:
        return ZH[noun][0]
    word = ZH[quality][0]
    return f"{word}{'' if word in '大小新旧' else '的'}{ZH[noun][0]}"


def mandarin_several(number: int, noun: str, quality: str = "") -> str:
    """A number, the measure word and the noun; two of something is 两, not 二."""
    sign = "两" if number == 2 else mandarin_number(number)
    return f"{sign}{ZH[noun][1]}{mandarin_with(quality, noun)}"


def mandarin_is(quality: str, *, negative: bool = False) -> str:
    """What follows the noun in "X is red" or "X is big": 是红色的, 很大; 不是红色的, 不大."""
    word = ZH[quality][0]
    if quality in COLOURS:
        return f"{'不' if negative else ''}是{word}的"
    return f"{'不' if negative else '很'}{word}"


def _pick(rng: np.random.Generator, items: tuple[str, ...]) -> str:
    return items[int(rng.integers(len(items)))]


def weighted(rng: np.random.Generator, shares: tuple[float, ...]) -> int:
    """A place drawn by the shares; many times quicker than `rng.choice`."""
    left = rng.random() * sum(shares)
    for place, share in enumerate(shares):
        left -= share
        if left < 0:
            return place
    return len(shares) - 1


def _described(rng: np.random.Generator, *, colours: float = 0.5) -> tuple[str, str]:
    """A quality and a noun that can have it."""
    if rng.random() < colours:
        return _pick(rng, COLOURS), _pick(rng, ANIMALS + HOUSEHOLD)
    quality = _pick(rng, OF_ALL * 2 + OF_THINGS + OF_BEINGS)
    if quality in OF_ALL:
        return quality, _pick(rng, ANIMALS + HOUSEHOLD)
    if quality in OF_BEINGS:
        return quality, _pick(rng, BEINGS)
    nouns = {"loud": LOUD_THINGS, "hot": WARM_THINGS, "cold": WARM_THINGS}
    return quality, _pick(rng, nouns.get(quality, HOUSEHOLD))


def single(rng: np.random.Generator) -> Triple:
    """One word."""
    words = tuple(gloss for name in SINGLE_FAMILIES for gloss, _, _ in GERMAN[name])
    gloss = _pick(rng, words + SINGLE_OTHERS)
    return Triple(gloss, DE[gloss][0], ZH[gloss][0])


def number(rng: np.random.Generator) -> Triple:
    """A number of 13 to 100."""
    n = int(rng.integers(13, 101))
    if n == 20:
        n = 21
    return Triple(english_number(n), german_number(n), mandarin_number(n))


def digits(rng: np.random.Generator) -> Triple:
    """Two to five digits."""
    signs = [int(n) for n in rng.integers(0, 10, size=int(rng.integers(2, 6)))]
    rows = (english_number, german_number, mandarin_number)
    en, de, zh = ([spell(n) for n in signs] for spell in rows)
    return Triple(" ".join(en), " ".join(de), "".join(zh))


def several(rng: np.random.Generator) -> Triple:
    """A number of things, some with a quality."""
    n = int(rng.integers(2, 13))
    if rng.random() < 0.5:
        noun = _pick(rng, NOUNS)
        quality, en = "", plural(noun)
    else:
        quality, noun = _described(rng)
        en = f"{quality} {plural(noun)}"
    return Triple(
        f"{english_number(n)} {en}",
        german_several(n, noun, quality),
        mandarin_several(n, noun, quality),
    )


def described(rng: np.random.Generator) -> Triple:
    """ "red cup" or "a red cup"."""
    quality, noun = _described(rng)
    en = f"{quality} {noun}"
    if rng.random() < 0.5:
        de = f"{german_adjective(quality, MIXED_NOMINATIVE[DE[noun][1]])} {DE[noun][0]}"
        return Triple(en, de, mandarin_with(quality, noun))
    return Triple(
        english_a(en), german_a(noun, quality=quality), mandarin_several(1, noun, quality)
    )


def pair(rng: np.random.Generator) -> Triple:
    """ "a dog and a cat" or "the dog and the cat"."""
    one, two = (NOUNS[i] for i in rng.choice(len(NOUNS), size=2, replace=False))
    if rng.random() < 0.5:
        return Triple(
            f"{english_a(one)} and {english_a(two)}",
            f"{german_a(one)} und {german_a(two)}",
            f"{mandarin_several(1, one)}和{mandarin_several(1, two)}",
        )
    return Triple(
        f"the {one} and the {two}",
        f"{german_the(one)} und {german_the(two)}",
        f"{ZH[one][0]}和{ZH[two][0]}",
    )


def statement(rng: np.random.Generator) -> Triple:
    """ "the dog is big", "the dog is not big", "is the dog big"."""
    quality, noun = _described(rng)
    kind = int(rng.integers(5))
    de, zh, word = german_the(noun), ZH[noun][0], DE[quality][0]
    if kind == 0:
        return Triple(
            f"the {noun} is not {quality}",
            f"{de} ist nicht {word}",
            zh + mandarin_is(quality, negative=True),
        )
    if kind == 1:
        asked = f"是{ZH[quality][0]}的吗" if quality in COLOURS else f"{ZH[quality][0]}吗"
        return Triple(f"is the {noun} {quality}", f"ist {de} {word}", zh + asked)
    return Triple(f"the {noun} is {quality}", f"{de} ist {word}", zh + mandarin_is(quality))


def action(rng: np.random.Generator) -> Triple:
    """Somebody sees, has, wants, finds, hears or eats something, or sleeps, or barks."""
    draw = rng.random()
    being = _pick(rng, BEINGS)
    if draw < 0.08:
        return Triple(
            f"the {being} sleeps", f"{german_the(being)} schläft", f"{ZH[being][0]}在睡觉"
        )
    if draw < 0.12:
        return Triple("the dog barks", "der Hund bellt", "狗在叫")
    verb, quality = _pick(rng, OBJECT_VERBS), ""
    if draw < 0.18:
        verb, being = "eats", _pick(rng, PEOPLE)
        thing = _pick(rng, EATEN)
    elif verb == "hears":
        thing = _pick(rng, BEINGS)
    elif draw < 0.6:
        quality, thing = _described(rng, colours=0.7)
    else:
        thing = _pick(rng, ANIMALS + HOUSEHOLD)
    en = f"{quality} {thing}".strip()
    if draw > 0.8:
        n = int(rng.integers(2, 11))
        objects = (
            f"{english_number(n)} {plural(thing)}",
            german_several(n, thing),
            mandarin_several(n, thing),
        )
    else:
        objects = (
            english_a(en),
            german_a(thing, quality=quality, accusative=True),
            mandarin_several(1, thing, quality),
        )
    return Triple(
        f"the {being} {verb} {objects[0]}",
        f"{german_the(being)} {DE[verb][0]} {objects[1]}",
        f"{ZH[being][0]}{ZH[verb][0]}{objects[2]}",
    )


def existence(rng: np.random.Generator) -> Triple:
    """ "there is a dog", "there are two dogs", "this is a dog", "is this a dog", "where is the dog"."""
    kind, noun = int(rng.integers(6)), _pick(rng, NOUNS)
    a = english_a(noun)
    if kind <= 1:
        return Triple(f"there is {a}", f"da ist {german_a(noun)}", f"有{mandarin_several(1, noun)}")
    if kind == 2:
        n = int(rng.integers(2, 13))
        return Triple(
            f"there are {english_number(n)} {plural(noun)}",
            f"da sind {german_several(n, noun)}",
            f"有{mandarin_several(n, noun)}",
        )
    if kind == 3:
        return Triple(
            f"this is {a}", f"das ist {german_a(noun)}", f"这是{mandarin_several(1, noun)}"
        )
    if kind == 4:
        zh = f"这是{mandarin_several(1, noun)}吗"
        return Triple(f"is this {a}", f"ist das {german_a(noun)}", zh)
    quality = ""
    if rng.random() < 0.4:
        quality, noun = _described(rng)
    return Triple(
        f"where is the {quality} {noun}".replace("  ", " "),
        f"wo ist {german_the(noun, quality=quality)}",
        f"{mandarin_with(quality, noun)}在哪里",
    )


def command(rng: np.random.Generator) -> Triple:
    """ "open the door", "please take the red cup"."""
    en, de, zh, nouns = PARALLEL_COMMANDS[int(rng.integers(len(PARALLEL_COMMANDS)))]
    noun = _pick(rng, nouns)
    quality = _pick(rng, COLOURS + OF_ALL * 2) if rng.random() < 0.4 else ""
    polite = rng.random() < 0.6
    return Triple(
        f"{'please ' if polite else ''}{en} the {quality} {noun}".replace("  ", " "),
        f"{'bitte ' if polite else ''}{de} {german_the(noun, quality=quality, accusative=True)}",
        f"{'请' if polite else ''}{zh}{mandarin_with(quality, noun)}",
    )


MANY: tuple[tuple[Callable[[np.random.Generator], Triple], float], ...] = (
    (number, 0.07),
    (digits, 0.08),
    (several, 0.17),
    (described, 0.14),
    (pair, 0.08),
    (statement, 0.14),
    (action, 0.15),
    (existence, 0.1),
    (command, 0.07),
)


def sample_triple(rng: np.random.Generator, *, single_share: float) -> Triple:
    """One draw of the parallel templates, a single word as often as asked."""
    if rng.random() < single_share:
        return single(rng)
    return MANY[weighted(rng, tuple(share for _, share in MANY))][0](rng)
