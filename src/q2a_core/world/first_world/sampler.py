"""Drawing scenes of the first world: which kind, which words, which sound, over which background."""

from collections.abc import Sequence

import numpy as np

from q2a_core.world.scene import BACKGROUNDS, Event, Scene, SceneKind
from q2a_core.world.sounds import SOUND_CLASSES
from q2a_core.world.speech.sentences import SPOKEN_QUESTIONS
from q2a_core.world.speech.utterances import SPLIT_SEEDS, Utterance
from q2a_core.world.speech.voices import Split

SCENE_SHARES: dict[SceneKind, float] = {
    "speech": 0.36,
    "sound": 0.27,
    "question": 0.23,
    "both": 0.08,
    "lone_question": 0.02,
    "silence": 0.02,
    "noise": 0.02,
}
"""How often each kind is drawn: a person speaks, a sound, a sound with a spoken question about it, a sound with
something else said, a question without a sound, nothing, noise."""
CLEAN_SHARE = 0.5
"""Training clips recorded without any room or microphone."""
HARDEST = 0.5
"""Strength of the roughest training recording; 1 would be a telephone in a stairwell."""
TEST_STRENGTH = 0.25
"""Test clips are rough recordings of a middling kind; what they hold is new."""
NOISY_SHARE = 0.5
"""Clips with something in the background."""
SNR_DB = {"train": (12.0, 45.0), "test": (15.0, 45.0)}
"""Level of the events over the background, drawn evenly."""
SOUND_SECONDS = (0.8, 2.2)
"""Length of a sound that goes on, drawn evenly."""


class FirstSampler:
    """Scenes of one split in which `utterances` are said; the same (seed, index) gives the same scene."""

    def __init__(
        self,
        utterances: Sequence[Utterance],
        split: Split,
        *,
        seed: int = 0,
        kinds: tuple[SceneKind, ...] = (),
    ):
        self.utterances = utterances
        self.split: Split = split
        self.seed = seed
        questions = set(SPOKEN_QUESTIONS[split])
        self.questions = [i for i, item in enumerate(utterances) if item.text in questions]
        self.statements = [i for i, item in enumerate(utterances) if item.text not in questions]
        self.kinds = kinds or tuple(SCENE_SHARES)
        shares = np.array([SCENE_SHARES[kind] for kind in self.kinds])
        self.shares = shares / shares.sum()

    def scene(self, index: int) -> Scene:
        """The scene at `index`."""
        rng = np.random.default_rng([SPLIT_SEEDS[self.split], self.seed, index, 0])
        kind = self.kinds[int(rng.choice(len(self.kinds), p=self.shares))]
        events, overlap = self._events(kind, rng)
        noisy = kind == "noise" or (kind != "silence" and rng.random() < NOISY_SHARE)
        strength = TEST_STRENGTH
        if self.split == "train":
            strength = 0.0 if rng.random() < CLEAN_SHARE else float(rng.uniform(0, HARDEST))
        return Scene(
            kind=kind,
            split=self.split,
            seed=self.seed,
            index=index,
            events=tuple(events),
            overlap=overlap,
            sound_gain_db=float(rng.uniform(-10, 6) if overlap else rng.uniform(-8, 8)),
            background=str(rng.choice(BACKGROUNDS)) if noisy else None,
            snr_db=float(rng.uniform(*SNR_DB[self.split])),
            strength=strength,
        )

    def _events(self, kind: SceneKind, rng: np.random.Generator) -> tuple[list[Event], bool]:
        if kind == "speech":
            return [self._speech(self.statements, rng)], False
        if kind == "sound":
            return [_sound(rng)], False
        if kind == "lone_question":
            return [self._speech(self.questions, rng)], False
        if kind in ("question", "both"):
            speech = self._speech(self.questions if kind == "question" else self.statements, rng)
            events = [_sound(rng), speech]
            if rng.random() < 0.3:
                events.reverse()
            return events, kind == "both" and rng.random() < 0.3
        return [], False

    def _speech(self, places: list[int], rng: np.random.Generator) -> Event:
        place = places[int(rng.integers(len(places)))]
        return Event(kind="speech", label=self.utterances[place].text, utterance=place)


def _sound(rng: np.random.Generator) -> Event:
    chosen = SOUND_CLASSES[int(rng.integers(len(SOUND_CLASSES)))]
    seed = int(rng.integers(2**31))
    if chosen.countable:
        return Event(kind="sound", label=chosen.label, count=int(rng.integers(1, 4)), seed=seed)
    seconds = float(rng.uniform(*SOUND_SECONDS))
    return Event(kind="sound", label=chosen.label, seconds=seconds, seed=seed)
