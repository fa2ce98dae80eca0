"""Sounds that people make without words: the list of classes, and one call that makes any of them.

The classes are those of the VocalSound data set. What each is made of lies in `vocal_laughs.py`, `vocal_breaths.py`
and `vocal_bursts.py`, and the person who makes it in `vocal_tract.py`; nothing is a recording.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from q2a_core.errors import Q2AError
from q2a_core.world.sounds import MAX_COUNT, PEAK, vocal_breaths, vocal_bursts, vocal_laughs
from q2a_core.world.sounds.acoustics import band_gain, filter_by, log_uniform, swell


@dataclass(frozen=True, kw_only=True, slots=True)
class VocalClass:
    """One kind of vocal sound and the English that goes with it."""

    label: str
    """Name of the class, words joined by an underscore."""
    noun: str
    """The sound: "a cough"."""
    phrase: str
    """What is heard: "someone coughing"."""
    event: str | None
    """One countable event in the singular (the plural takes an s); None if the sound has no separate events."""

    @property
    def countable(self) -> bool:
        """Whether the sound is a row of distinct events."""
        return self.event is not None


VOCAL_CLASSES = tuple(
    VocalClass(label=label, noun=noun, phrase=phrase, event=event)
    for label, noun, phrase, event in (
        ("laughter", "laughter", "someone laughing", None),
        ("sigh", "a sigh", "someone sighing", None),
        ("cough", "a cough", "someone coughing", "cough"),
        ("throat_clearing", "throat clearing", "someone clearing their throat", None),
        ("sneeze", "a sneeze", "someone sneezing", "sneeze"),
        ("sniff", "a sniff", "someone sniffing", "sniff"),
    )
)
"""The classes in a fixed order; new ones go to the end."""

_COUNTED: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "cough": vocal_bursts.cough,
    "sneeze": vocal_bursts.sneeze,
    "sniff": vocal_breaths.sniff,
}
_WHOLE: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "laughter": vocal_laughs.laughter,
    "sigh": vocal_breaths.sigh,
    "throat_clearing": vocal_bursts.throat_clearing,
}


def synthesise_vocal(
    label: str, rng: np.random.Generator, *, count: int | None = None
) -> np.ndarray:
    """Samples (S,) float32, 16 kHz, peak 0.9, of the class `label`, new in every detail that `rng` draws.

    Coughs, sneezes and sniffs come `count` times (1 to 4, random if None). Raises Q2AError for an unknown label, a
    count outside 1 to 4, or a count for a sound without separate events.
    """
    if label in _COUNTED:
        events = int(rng.integers(1, MAX_COUNT + 1)) if count is None else count
        if not 1 <= events <= MAX_COUNT:
            raise Q2AError(
                f"A {label} sound with {events} events was asked for; count goes from 1 to {MAX_COUNT}."
            )
        return _record(rng, _COUNTED[label](rng, events))
    if label not in _WHOLE:
        labels = ", ".join(vocal.label for vocal in VOCAL_CLASSES)
        raise Q2AError(f"There is no vocal sound {label!r}; choose one of {labels}.")
    if count is not None:
        raise Q2AError(f"A {label} sound has no separate events to count; leave count out.")
    return _record(rng, _WHOLE[label](rng))


def _record(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """`sound` through a random microphone, dull or sharp, at the common peak."""
    response = band_gain(rng.uniform(40, 150), log_uniform(rng, 3_500, 16_000), order=1.5)
    tilt = rng.uniform(-0.35, 0.35)
    sound = filter_by(sound, lambda f: response(f) * (np.maximum(f, 60.0) / 1_000.0) ** tilt)
    sound = sound * swell(len(sound), attack=0.001, release=0.004)
    return (sound * (PEAK / (float(np.abs(sound).max()) + 1e-9))).astype(np.float32)
