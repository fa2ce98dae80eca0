"""Everyday sounds of the mini world: the list of classes, one call that makes any of them, and backgrounds.

What each sound is made of lies in animals.py, birds.py, frogs.py, signals.py and things.py.
Nothing here is a recording: every sound is computed from a random generator, so a seed is its whole description.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from q2a_core.errors import Q2AError
from q2a_core.world.sounds import animals, birds, frogs, signals, things
from q2a_core.world.sounds.acoustics import (
    band_gain,
    contour,
    filter_by,
    noise,
    to_samples,
    tone,
    wander,
)

MAX_COUNT = 4
"""Most events in one countable sound."""
ROWS = ("dog", "duck", "crow", "frog", "owl", "knocking")
"""Countable sounds that come in rows too long to count."""
ROW_COUNTS = (5, 9)
"""Fewest and most events of such a row."""
PEAK = 0.9
"""Largest absolute sample of a synthesised sound."""
BACKGROUND_LEVEL = 0.1
"""Root mean square of a background that is not silence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundClass:
    """One kind of everyday sound and the English that goes with it."""

    label: str
    """One word."""
    noun: str
    """What makes the sound: "a keyboard"."""
    phrase: str
    """What is heard: "someone typing on a keyboard"."""
    event: str | None
    """One countable event in the singular ("bark"; the plural takes an s); None if the sound has no separate events."""

    @property
    def countable(self) -> bool:
        """Whether the sound is a row of distinct events."""
        return self.event is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sound:
    """A synthesised sound and its truth."""

    samples: np.ndarray
    """(S,) float32, 16 kHz, peak 0.9."""
    label: str
    """Label of its class."""
    count: int | None
    """Distinct events; None for a continuous sound."""


SOUND_CLASSES = tuple(
    SoundClass(label=label, noun=noun, phrase=phrase, event=event)
    for label, noun, phrase, event in (
        ("dog", "a dog", "a dog barking", "bark"),
        ("cat", "a cat", "a cat meowing", "meow"),
        ("cow", "a cow", "a cow mooing", "moo"),
        ("sheep", "a sheep", "a sheep bleating", "bleat"),
        ("horse", "a horse", "a horse neighing", "neigh"),
        ("rooster", "a rooster", "a rooster crowing", "crow"),
        ("duck", "a duck", "a duck quacking", "quack"),
        ("crow", "a crow", "a crow cawing", "caw"),
        ("owl", "an owl", "an owl hooting", "hoot"),
        ("frog", "a frog", "a frog croaking", "croak"),
        ("bird", "a bird", "a bird singing", None),
        ("bell", "a bell", "a bell ringing", "stroke"),
        ("alarm", "an alarm", "an alarm beeping", None),
        ("siren", "a siren", "a siren wailing", None),
        ("horn", "a car horn", "a car horn honking", "honk"),
        ("phone", "a phone", "a phone ringing", "ring"),
        ("engine", "an engine", "an engine running", None),
        ("rain", "rain", "rain falling", None),
        ("thunder", "thunder", "thunder rolling", None),
        ("keyboard", "a keyboard", "someone typing on a keyboard", None),
        ("knocking", "knocking", "someone knocking on a door", "knock"),
        ("clock", "a clock", "a clock ticking", None),
        ("drill", "a drill", "a drill running", None),
        ("glass", "breaking glass", "glass breaking", None),
    )
)
"""The classes in a fixed order; new ones go to the end."""

BACKGROUND_KINDS = ("white", "pink", "brown", "hum", "babble", "silence")
"""What `background` can make."""

_COUNTED: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "dog": animals.dog,
    "cat": animals.cat,
    "cow": animals.cow,
    "sheep": animals.sheep,
    "horse": animals.horse,
    "frog": frogs.frog,
    "rooster": birds.rooster,
    "duck": birds.duck,
    "crow": birds.crow,
    "owl": birds.owl,
    "bell": signals.bell,
    "horn": signals.horn,
    "phone": signals.phone,
    "knocking": things.knocking,
}
_CONTINUOUS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "bird": birds.bird,
    "alarm": signals.alarm,
    "siren": signals.siren,
    "engine": things.engine,
    "rain": things.rain,
    "thunder": things.thunder,
    "keyboard": things.keyboard,
    "clock": things.clock,
    "drill": things.drill,
    "glass": things.glass,
}
_SECONDS = {"glass": (0.6, 1.8), "thunder": (2.0, 4.0), "clock": (1.5, 4.0), "siren": (1.5, 4.0)}
_DEFAULT_SECONDS = (0.8, 4.0)


def synthesise_sound(
    label: str, rng: np.random.Generator, *, seconds: float | None = None, count: int | None = None
) -> Sound:
    """One sound of the class `label`, new in every detail that `rng` draws.

    A countable sound has `count` events (1 to 4, random if None) and lasts as they do, at most about 4 s; `seconds`
    is for continuous sounds alone (0.8 to 4 s if None). Raises Q2AError for an unknown label, a count outside 1 to 4,
    or a count or a length that the class does not take.
    """
    labels = [sound.label for sound in SOUND_CLASSES]
    if label not in labels:
        raise Q2AError(f"There is no sound class {label!r}; choose one of {', '.join(labels)}.")
    if label in _COUNTED:
        if seconds is not None:
            raise Q2AError(
                f"A {label} sound lasts as its events do; give count (1 to {MAX_COUNT}) instead of seconds."
            )
        events = int(rng.integers(1, MAX_COUNT + 1)) if count is None else count
        if not 1 <= events <= MAX_COUNT:
            raise Q2AError(
                f"A {label} sound with {events} events was asked for; count goes from 1 to {MAX_COUNT}."
            )
        return Sound(samples=_finish(_COUNTED[label](rng, events)), label=label, count=events)
    if count is not None:
        raise Q2AError(
            f"A {label} sound has no separate events to count; leave count out and give seconds."
        )
    if seconds is None:
        seconds = float(rng.uniform(*_SECONDS.get(label, _DEFAULT_SECONDS)))
    if not 0.2 <= seconds <= 30.0:
        raise Q2AError(
            f"A {label} sound of {seconds:g} s was asked for; seconds goes from 0.2 to 30."
        )
    return Sound(
        samples=_finish(_CONTINUOUS[label](rng, to_samples(seconds))), label=label, count=None
    )


def is_countable(label: str) -> bool:
    """Whether sounds of this class are rows of distinct events."""
    return label in _COUNTED


def synthesise_row(label: str, rng: np.random.Generator) -> Sound:
    """A row of 5 to 9 events that nobody counts: a dog that goes on barking. Raises Q2AError for other classes."""
    if label not in ROWS:
        raise Q2AError(f"{label!r} comes in no rows; choose one of {', '.join(ROWS)}.")
    events = int(rng.integers(ROW_COUNTS[0], ROW_COUNTS[1] + 1))
    return Sound(samples=_finish(_COUNTED[label](rng, events)), label=label, count=None)


def background(kind: str, rng: np.random.Generator, samples: int) -> np.ndarray:
    """Steady background (S,) float32 at a root mean square of 0.1; zeros for "silence". Raises Q2AError if unknown."""
    if kind == "silence":
        return np.zeros(samples, dtype=np.float32)
    if kind == "white":
        sound = noise(rng, samples)
    elif kind == "pink":
        sound = filter_by(noise(rng, samples), lambda f: np.maximum(f, 40.0) ** -0.5)
    elif kind == "brown":
        sound = filter_by(noise(rng, samples), lambda f: 1.0 / np.maximum(f, 40.0))
    elif kind == "hum":
        mains = float(rng.choice([50.0, 60.0])) * contour(
            samples, [(0, 1.0), (1, rng.uniform(0.998, 1.002))]
        )
        harmonics = [
            rng.uniform(0, 1) / n * tone(n * mains, start=rng.uniform()) for n in range(1, 13)
        ]
        sound = np.sum(harmonics, axis=0) + rng.uniform(0.02, 0.15) * noise(rng, samples)
    elif kind == "babble":
        voices = filter_by(noise(rng, samples), band_gain(250, rng.uniform(700, 1_600), order=1))
        syllables = np.exp(
            0.6 * wander(rng, samples, rng.uniform(3.0, 6.0)) + 0.3 * wander(rng, samples, 12.0)
        )
        sound = voices * syllables
    else:
        raise Q2AError(
            f"There is no background {kind!r}; choose one of {', '.join(BACKGROUND_KINDS)}."
        )
    sound *= BACKGROUND_LEVEL / (float(np.sqrt(np.mean(np.square(sound)))) + 1e-9)
    return sound.astype(np.float32)


def _finish(sound: np.ndarray) -> np.ndarray:
    """`sound` without offset, at the common peak."""
    sound = sound - sound.mean()
    return (sound * (PEAK / (float(np.abs(sound).max()) + 1e-9))).astype(np.float32)
