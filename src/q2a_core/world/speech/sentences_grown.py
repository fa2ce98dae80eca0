"""What is said in English in the grown world, with words of all families.

Templates are written with slots, such as "the {animal} {verb} {a_thing}"; a slot is filled from its
pool, and `a_` in front of one gives "a" or "an". Which split a text belongs to follows from the
text, as in the first world; single words are heard in both splits, by different voices.
"""

import re

import numpy as np

from q2a_core.world.speech.lexicon import ENGLISH, plural
from q2a_core.world.speech.questions_grown import QUESTION_SPLITS
from q2a_core.world.speech.sentences import split_of_sentence
from q2a_core.world.speech.translations import english_a, english_number, weighted
from q2a_core.world.speech.voices import Split


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# of these, alone, little would be heard
NOT_ALONE = frozenset(
    _words("the a an is and on of in or it i my your he she are was do does that")
)
SINGLE_WORDS = tuple(
    (name, tuple(word for word in words if word not in NOT_ALONE))
    for name, words in ENGLISH.items()
)

ANIMALS = ENGLISH["animals"] + ENGLISH["more_animals"]
NO_COUNT = {"soap", "paper", "scissors"}
THINGS = tuple(
    word for word in ENGLISH["household"] + ENGLISH["more_household"] if word not in NO_COUNT
)
PEOPLE = ENGLISH["people"]
COLOURS = ENGLISH["colours"] + ENGLISH["more_colours"]
POOLS: dict[str, tuple[str, ...]] = {
    "animal": ANIMALS,
    "thing": THINGS,
    "noun": ANIMALS + THINGS,
    "person": PEOPLE,
    "being": ANIMALS + PEOPLE * 2,
    "relative": _words("mother father teacher friend baby doctor dog cat"),
    "colour": COLOURS,
    "thing_quality": _words("big small new old hot cold long short full empty clean dirty")
    + _words("heavy soft good"),
    "feeling": _words("happy sad angry afraid calm old young quiet slow fast loud"),
    "quality": COLOURS + _words("big small new old clean dirty heavy soft good long short"),
    "mood": _words("happy sad angry afraid calm quiet"),
    "drink": _words("milk water coffee tea"),
    "snack": _words("apple egg"),
    "food": _words("bread milk water coffee tea"),
    "place": _words("house kitchen garden street school room train car"),
    "surface": _words("table chair bed sofa shelf carpet plate stove book box"),
    "inside": _words("box drawer basket bucket fridge oven house kitchen sink"),
    "heard": _words("siren engine horn song voice bell drum trumpet cough sneeze sigh noise"),
    "noise": _words("rain thunder wind music silence typing knocking laughter noise"),
    "instrument": ENGLISH["heard_things"][-6:],
    "machine": _words("radio television computer alarm lamp phone stove oven music"),
    "opened": _words("door window box bottle book drawer curtain fridge oven basket"),
    "carried": _words("cup spoon key book bottle box pen pencil knife fork plate pan towel candle")
    + _words("pillow blanket broom brush bucket basket phone soap paper scissors bread milk water"),
    "washed": _words("cup plate pan knife fork spoon towel carpet window car dog"),
    "does": _words("runs walks sleeps sings speaks eats drinks"),
    "weekday": ENGLISH["weekdays"],
    "month": ENGLISH["months"],
    "when": _words("today tomorrow now again"),
    "daytime": _words("morning evening day"),
    "named": _words("charlie juliet mike oscar romeo victor"),
    "own": _words("my your the"),
    "he": _words("he she"),
    "verb": _words("sees has wants finds likes hears"),
    "side": _words("left up down back"),
    "animal_does": _words("runs walks sleeps eats drinks"),
}


def _templates(text: str) -> tuple[str, ...]:
    """Templates written one after the other, parted by slashes."""
    return tuple(" ".join(part.split()) for part in text.split("/"))


# a weight, then the templates of a kind: short phrases, commands, statements, questions that are
# none to the assistant, dates, spelling, digits, numbers
TEMPLATES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (
        0.2,
        _templates("""
            {quality} {noun} / {quality} {noun} / {colour} {thing} / {a_quality} {noun} /
            {thing_quality} {thing} / {feeling} {being} / {a_feeling} {being} / {own} {noun} /
            {count} {nouns} / {count} {nouns} / {count} {quality} {nouns} / {number} {nouns} /
            {a_noun} and {a_noun} / {noun} and {noun} / {noun} or {noun} / {colour} or {colour} /
            {noise} and {noise} / {a_heard} and {noise} / {food} and {food} / hot {drink} /
            good {daytime} / yes please / no not {when} / not {quality} / the first {noun} /
            {instrument} and {instrument} / {a_loud} {heard} / {a_person} with {a_thing}
        """),
    ),
    (
        0.16,
        _templates("""
            {please}open the {opened} / {please}close the {opened} / {please}take the {carried} /
            {please}bring me the {carried} / {please}give me the {quality} {carried} /
            {please}put the {carried} on the {surface} / {please}put it in the {inside} /
            {please}find my {carried} / {please}wash the {washed} / {please}cook {a_snack} /
            {please}turn {side} / {please}turn off the {machine} / {please}turn on the {machine} /
            {please}push the {thing} / {please}pull the {thing} / {please}come back / go {side} /
            {please}play the {instrument} / {please}play a song / {please}listen {when} /
            look at the {noun} / {please}say {phonetic} / {please}spell {named} / {please}help me /
            {please}repeat that / {please}say that again / {please}count the {nouns} / stop now /
            {please}translate this / {please}speak {when} / start the {car} / stay in the {place} /
            {please}stop the {machine} / come {when} / go {back} {when} / stay {feeling}
        """),
    ),
    (
        0.3,
        _templates("""
            the {being} {verb} {a_thing} / the {person} {verb} {a_quality} {thing} /
            the {animal} {verb} {count} {nouns} / the {being} sees {a_animal} / {he} has {a_thing} /
            the {noun} is {quality} / the {thing} is {thing_quality} / the {being} is {feeling} /
            the {quality} {noun} is on the {surface} / the {carried} is in the {inside} /
            there is {a_noun} in the {place} / there are {count} {nouns} / it is {thing_quality} /
            the {person} {does} / the {animal} {animal_does} / the dog barks / the bird sings /
            the {person} drinks {drink} / the {person} eats {a_snack} / {he} drinks {drink} /
            {own} {relative} is {mood} / {he} is {mood} {when} / {he} hears {noise} / {he} {does} /
            the {person} hears {a_heard} / the {person} likes {noise} / the {person} says {yes} /
            the {phone} rings / the {glass} breaks / my name is {named} / your name is {named} /
            the {person} is in the {place} / the {animal} is not in the {place} / this is {a_noun} /
            the {person} plays the {instrument} / the {instrument} is {loud} / that is not {a_noun} /
            {he} is not {mood} / it is {a_quality} {noun} / the {noise} is {loud} {when}
        """),
    ),
    (
        0.14,
        _templates("""
            where is the {quality} {noun} / where is {own} {relative} / where are the {nouns} /
            who is in the {place} / who has the {carried} / is the {thing} {thing_quality} /
            is the {being} {mood} / why is the {being} {mood} / how old is {own} {relative} /
            how many {nouns} are there / how much {food} is there / what is your name /
            is there {a_noun} in the {place} / does {he} speak / which {noun} is {quality} /
            do you like {noise} / can you help me / can you see the {noun} / when is {weekday} /
            what is in the {inside} / is it {colour} or {colour} / is it {weekday} {when} /
            when does the {train} stop / are you {mood} / how is the {food} / is that {a_animal}
        """),
    ),
    (
        0.07,
        _templates("""
            {weekday} {daytime} / {month} {to_31} / the first of {month} / {weekday} {month} {to_31} /
            today is {weekday} / tomorrow is {weekday} / in {month} / {weekday} and {weekday} /
            {weekday} the first of {month} / it is {month} / {to_31} {month} / on {weekday}
        """),
    ),
    (
        0.04,
        _templates("""
            {phonetic} {phonetic} / {phonetic} {phonetic} {phonetic} / {phonetic} {digits}
        """),
    ),
    (0.04, ("{digits}",)),
    (0.05, ("{number}", "{number}", "{large_number}", "{huge_number}")),
)
CHOICES: dict[str, tuple[str, ...]] = {
    "please": ("please ", "", ""),
    "loud": ("loud", "quiet", "soft"),
    "yes": ("yes", "no", "please"),
    "phone": ("phone", "bell", "alarm", "clock"),
    "glass": ("glass", "cup", "plate", "window", "mirror", "bottle"),
    "car": ("car", "engine", "train", "music", "computer"),
    "train": ("train", "music", "rain", "car"),
    "back": ("back", "down", "up"),
    "phonetic": ENGLISH["spelling"] + ("november",),
}
LOOSE_SHARE = 0.05
"""English training phrases that are no sentence: what comes next has to be heard. Of many more the decoder learns that
any two words go together, and hears two in a single slow one.
"""
SLOT = re.compile(r"\{(a_)?([a-z_0-9]+)\}")


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


def number_words(number: int, *, joined: bool) -> str:
    """0 to 999,999,999 said in full; `joined` says "and" before the tens of a hundred."""
    parts = []
    for size, name in ((1_000_000, "million"), (1000, "thousand")):
        if number >= size:
            parts += [number_words(number // size, joined=joined), name]
            number %= size
    if number >= 100:
        parts += [ENGLISH["numbers"][number // 100], "hundred"]
        number %= 100
        if number and joined:
            parts.append("and")
    if number or not parts:
        parts.append(english_number(number))
    return " ".join(parts)


def _number(rng: np.random.Generator, name: str) -> str:
    """A number for one of the number slots."""
    joined = bool(rng.random() < 0.5)
    if name == "count":
        return english_number(int(rng.integers(2, 13)))
    if name == "to_31":
        return english_number(int(rng.integers(1, 32)))
    if name == "number":
        return english_number(int(rng.integers(13, 100)))
    if name == "large_number":
        number = int(rng.integers(101, 1000))
        if rng.random() < 0.4:
            number = number // 100 * 100
        return number_words(number, joined=joined)
    number = int(rng.integers(1, 100)) * (1000 if rng.random() < 0.6 else 1_000_000)
    if rng.random() < 0.4 and number < 1_000_000:
        number += int(rng.integers(1, 10)) * 100
    return number_words(number, joined=joined)


def _fill(rng: np.random.Generator, name: str) -> str:
    """A word, or several, for the slot of that name."""
    if name == "digits":
        digits = ENGLISH["numbers"][:10]
        return " ".join(_pick(rng, digits) for _ in range(rng.integers(2, 6)))
    if name in ("count", "to_31", "number", "large_number", "huge_number"):
        return _number(rng, name)
    if name == "nouns":
        return plural(_pick(rng, POOLS["noun"]))
    return _pick(rng, POOLS[name] if name in POOLS else CHOICES[name])


def _sentence(rng: np.random.Generator) -> str:
    templates = TEMPLATES[weighted(rng, tuple(weight for weight, _ in TEMPLATES))][1]

    def fill(slot: re.Match[str]) -> str:
        words = _fill(rng, slot[2])
        return english_a(words) if slot[1] else words

    return SLOT.sub(fill, _pick(rng, templates)).strip()


def _word(rng: np.random.Generator) -> str:
    """A single word: families as often as they have words, small ones somewhat more."""
    sizes = tuple(len(words) ** 0.5 for _, words in SINGLE_WORDS)
    return _pick(rng, SINGLE_WORDS[weighted(rng, sizes)][1])


def _loose_words(rng: np.random.Generator) -> str:
    """Words in a row that make no sentence, in the training half."""
    while True:
        text = " ".join(_word(rng) for _ in range(rng.integers(2, 5)))
        if split_of_text(text) == "train":
            return text


def split_of_text(text: str) -> Split | None:
    """The split of an English text; None for a single word, which both splits say."""
    if text in QUESTION_SPLITS:
        return QUESTION_SPLITS[text]
    return split_of_sentence(text) if " " in text else None


def sample_english(rng: np.random.Generator, *, split: Split, single_share: float) -> str:
    """Something English to say that is no question to the assistant."""
    if rng.random() < single_share:
        return _word(rng)
    if split == "train" and rng.random() < LOOSE_SHARE:
        return _loose_words(rng)
    while True:
        text = _sentence(rng)
        if split_of_text(text) in (split, None) and text not in QUESTION_SPLITS:
            return text
