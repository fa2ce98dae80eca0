"""A scene: what can be heard in one clip, decided by (seed, split, index) before any sample exists.

The scene is the truth. Waveform, question, answer and judgement all come from it, so they cannot
contradict each other. Onsets and durations become known when the scene is rendered.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from q2a_core.world.sounds.music import Tune
from q2a_core.world.speech.utterances import SPLIT_SEEDS, Utterance
from q2a_core.world.speech.voices import Split

SceneKind = Literal[
    "speech",
    "sound",
    "question",
    "both",
    "lone_question",
    "silence",
    "noise",
    "vocal",
    "music",
    "sounds",
    "mixed",
]
"""The last four belong to the grown world."""
EventKind = Literal["speech", "sound", "vocal", "music"]

BACKGROUNDS = ("white", "pink", "brown", "hum", "babble")


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One thing that happens in a scene."""

    kind: EventKind
    label: str
    """Class of the sound, instrument of the music, or the words spoken in normal form."""
    utterance: int | None = None
    """Place in the book of utterances; None for a sound."""
    count: int | None = None
    """How often a countable sound happens; None where counting makes no sense."""
    seconds: float | None = None
    """Length of a sound that goes on; None where it lasts as its events do."""
    seed: int = 0
    """What a sound's variation is drawn from."""
    spoken: Utterance | None = None
    """Who says it, how, and what it means in other languages; the grown world fills it in."""
    tune: Tune | None = None
    """What is played, for music."""
    gain_db: float = 0.0
    """Level relative to the other events of the scene."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Everything that decides a clip."""

    kind: SceneKind
    split: Split
    seed: int
    index: int
    events: tuple[Event, ...]
    """In order of onset."""
    overlap: bool = False
    """The second event starts while the first goes on."""
    sound_gain_db: float = 0.0
    """Level of sounds relative to speech."""
    background: str | None = None
    snr_db: float = 60.0
    """Level of the events over the background."""
    strength: float = 1.0
    """How hard room, microphone and speaker vary; 0 is a clean recording."""

    def first(self, kind: EventKind) -> Event | None:
        """The first event of a kind."""
        return next((event for event in self.events if event.kind == kind), None)

    @property
    def transcript(self) -> str:
        """All that is said, in order."""
        return " ".join(event.label for event in self.events if event.kind == "speech")

    def rng(self, purpose: int) -> np.random.Generator:
        """The scene's own randomness; each purpose has its own stream."""
        return np.random.default_rng([SPLIT_SEEDS[self.split], self.seed, self.index, purpose])
