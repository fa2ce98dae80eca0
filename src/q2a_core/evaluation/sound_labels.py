"""What everyday and vocal sounds are called: a manifest may say "barking", "church bell" or "glass_breaking"."""

from functools import cache

from q2a_core.evaluation.normalisers import normalise_for
from q2a_core.world.answers import NOUNS, bare
from q2a_core.world.naming import NAMES

OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "dog": ("puppy", "bark", "barks", "barking"),
    "cat": ("kitten", "meow", "meows", "meowing", "miaow"),
    "cow": ("bull", "cattle", "moo", "moos", "mooing"),
    "sheep": ("lamb", "bleat", "bleats", "bleating"),
    "horse": ("neigh", "neighs", "neighing", "whinny"),
    "rooster": ("cock", "cockerel", "crowing", "cock a doodle doo"),
    "duck": ("quack", "quacks", "quacking"),
    "crow": ("raven", "caw", "caws", "cawing"),
    "owl": ("hoot", "hoots", "hooting"),
    "frog": ("toad", "croak", "croaks", "croaking"),
    "bird": ("birdsong", "songbird", "chirp", "chirps", "chirping", "tweet", "tweeting"),
    "bell": ("church bell", "church bells"),
    "alarm": ("alarm clock", "clock alarm", "buzzer", "smoke alarm"),
    "siren": ("police siren", "ambulance", "fire engine", "fire truck"),
    "horn": ("honk", "honks", "honking", "car honking"),
    "phone": ("telephone", "ringtone"),
    "engine": ("motor", "car engine"),
    "rain": ("raining", "rainfall"),
    "thunder": ("thunderclap", "thunderstorm", "lightning"),
    "keyboard": ("keyboard typing", "typing on a keyboard", "typewriter"),
    "knocking": ("knock", "door knock", "knocking on a door"),
    "clock": ("tick", "ticks", "ticking"),
    "drill": ("drilling", "power drill"),
    "glass": ("shattering glass", "glass shattering", "broken glass", "shatter"),
    "laughter": ("laugh", "laughs", "giggle", "giggling"),
    "throat_clearing": (
        *("throatclearing", "clears throat", "clearing throat", "clears their throat"),
        *("clearing his throat", "clearing her throat"),
    ),
}
"""Names that people give them beside the world's own; a name that would do for two sounds is left out."""


@cache
def sound_names() -> dict[str, tuple[str, ...]]:
    """Each sound as the world answers with it, such as "car horn", with all its names."""
    return {
        bare(noun): tuple({*NAMES[label], *OTHER_NAMES.get(label, ()), bare(noun)})
        for label, noun in NOUNS.items()
    }


def sound_meant(label: str) -> str:
    """The sound that a label means, as the world answers with it; the label itself where it means none, or two."""
    label = label.replace("_", " ")
    rest, meant = f" {normalise_for(label, 'en')} ", set()
    named = [(name, noun) for noun, names in sound_names().items() for name in names]
    for name, noun in sorted(named, key=lambda pair: len(pair[0]), reverse=True):
        if f" {name} " in rest:
            rest = rest.replace(f" {name} ", " | ")
            meant.add(noun)
    return meant.pop() if len(meant) == 1 else label
