"""Drawing grown scenes: who speaks, what sounds and plays, in sequence or at once, in which room.

Training scenes grow harder with their index: the first ones are as the first world was, and after `ramp` scenes the
rooms, microphones and levels have their full spread. A scene still follows from its index alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from q2a_core.world.scene import BACKGROUNDS, Event, Scene, SceneKind
from q2a_core.world.scene_shares import (
    BACKGROUND_SHARES,
    BEST_SNR_DB,
    CLEAN_SHARE,
    CLEANEST_FLOOR_DB,
    DISTURBED_DB,
    DISTURBED_SHARE,
    EASIEST,
    LONG_SECONDS,
    LONG_SHARE,
    MUSIC_SECONDS,
    NOISE_LEAN,
    NOISY_SHARES,
    OVERLAP_SHARE,
    RAMP,
    RECORDED_SHARE,
    SHORT_SHARE,
    SHORT_WORDS,
    SOUND_SECONDS,
    STAGE_SHARES,
    SUITE_SHARES,
    TEST_FLOOR_FALL_DB,
    TEST_HARDNESS,
    WORD_SHARE,
    Stage,
)
from q2a_core.world.sounds import ROWS, SOUND_CLASSES
from q2a_core.world.sounds.music import plan_tune
from q2a_core.world.sounds.vocal_sounds import VOCAL_CLASSES
from q2a_core.world.speech.recorded_engines import RECORDED
from q2a_core.world.speech.utterances import SPLIT_SEEDS, Utterance
from q2a_core.world.speech.voices import Split


class GrownSampler:
    """Grown scenes of one split in which `utterances` are said; the same (seed, index) gives the same scene."""

    def __init__(
        self,
        utterances: Sequence[Utterance],
        split: Split,
        *,
        seed: int = 0,
        stage: Stage | Literal["suites"] = "pretrain",
        kinds: tuple[SceneKind, ...] = (),
        ramp: int = RAMP,
    ):
        self.utterances = utterances
        self.split: Split = split
        self.seed = seed
        self.ramp = ramp
        self.statements = [i for i, item in enumerate(utterances) if not item.question]
        self.recorded = [i for i in self.statements if utterances[i].engine in RECORDED]
        self.words = [i for i in self.recorded if " " not in utterances[i].text]
        self.short = [
            place
            for place in self.statements
            if utterances[place].language == "en"
            and len(utterances[place].text.split()) in SHORT_WORDS
        ]
        self.questions: dict[str, list[int]] = {}
        for place, item in enumerate(utterances):
            if item.question:
                self.questions.setdefault(item.question, []).append(place)
        shares = SUITE_SHARES if stage == "suites" else STAGE_SHARES[stage]
        self.kinds = kinds or tuple(shares)
        weights = np.array([shares.get(kind, 1.0) for kind in self.kinds])
        self.weights = weights / weights.sum()

    def hardness(self, index: int) -> float:
        """How hard the scene at `index` may be, 0 to 1."""
        if self.split == "test":
            return TEST_HARDNESS
        return min(1.0, EASIEST + (1.0 - EASIEST) * index / max(self.ramp, 1))

    def scene(self, index: int) -> Scene:
        """The scene at `index`."""
        rng = np.random.default_rng([SPLIT_SEEDS[self.split], self.seed, index, 5])
        hardness = self.hardness(index)
        kind = self.kinds[int(rng.choice(len(self.kinds), p=self.weights))]
        events, overlap = self._events(kind, rng, hardness)
        noisy = kind == "noise" or (kind != "silence" and rng.random() < NOISY_SHARES[self.split])
        strength = float(rng.uniform(0, hardness))
        if self.split == "train":
            roughest = max(strength, float(rng.uniform(0, hardness)))
            strength = 0.0 if rng.random() < CLEAN_SHARE else roughest
        return Scene(
            kind=kind,
            split=self.split,
            seed=self.seed,
            index=index,
            events=tuple(events),
            overlap=overlap,
            background=self._background(rng) if noisy else None,
            snr_db=self._snr_db(rng, hardness),
            strength=strength,
        )

    def _background(self, rng: np.random.Generator) -> str:
        return str(rng.choice(BACKGROUNDS, p=BACKGROUND_SHARES[self.split]))

    def _snr_db(self, rng: np.random.Generator, hardness: float) -> float:
        floor, share = self._floor_db(hardness), rng.random()
        if self.split == "train":
            share **= NOISE_LEAN
        return float(floor + (BEST_SNR_DB - floor) * share)

    def _floor_db(self, hardness: float) -> float:
        """The worst signal-to-noise ratio; while training, noise comes before rooms and microphones do."""
        if self.split == "train":
            return CLEANEST_FLOOR_DB * (1.0 - min(1.0, 2.0 * hardness))
        return CLEANEST_FLOOR_DB - TEST_FLOOR_FALL_DB * hardness

    def _events(
        self, kind: SceneKind, rng: np.random.Generator, hardness: float
    ) -> tuple[list[Event], bool]:
        if kind == "speech":
            speech = self._speech(self.statements, rng)
            if self.split == "train" and rng.random() < DISTURBED_SHARE:
                other = _any_sound(rng, gain_db=float(rng.uniform(*DISTURBED_DB)))
                return [speech, other], True
            return [speech], False
        if kind in ("sound", "vocal", "music"):
            event = _heard(kind, rng)
            if self.split == "train" and kind == "sound" and rng.random() < LONG_SHARE:
                event = _longer(event, rng)
            return [event], False
        if kind == "sounds":
            first = _any_sound(rng)
            second = _any_sound(rng)
            while second.label == first.label:
                second = _any_sound(rng)
            return [first, second], rng.random() < OVERLAP_SHARE
        if kind == "mixed":
            overlap = rng.random() < OVERLAP_SHARE
            # under speech a sound is at most 5 dB louder, and up to 20 dB softer
            gain = (
                rng.uniform(-20 + 10 * (1 - hardness), 5 * hardness)
                if overlap
                else rng.uniform(-8, 8)
            )
            events = [self._speech(self.statements, rng), _any_sound(rng, gain_db=float(gain))]
            if rng.random() < 0.5:
                events.reverse()
            return events, overlap
        if kind == "question":
            return self._question(rng), False
        if kind == "lone_question":
            return [self._speech(self.questions["what"], rng)], False
        return [], False

    def _question(self, rng: np.random.Generator) -> list[Event]:
        """Something to hear and a spoken question that fits it."""
        names = sorted(self.questions)
        name = names[int(rng.integers(len(names)))]
        speech = self._speech(self.questions[name], rng)
        if name == "first":
            events, _ = self._events("sounds", rng, 0.0)
        elif name == "count":
            events = [_heard("sound" if rng.random() < 0.75 else "vocal", rng, countable=True)]
        elif name in ("which_instrument", "music_speed"):
            events = [_heard("music", rng)]
        elif name == "who":
            if speech.spoken is None or not speech.spoken.trait:
                speech = self._speech(self.questions["what"], rng)
            events = [_any_sound(rng)]
        else:
            events = [_any_sound(rng)]
        # a question comes before what it asks about as a rule less often than after it
        return [speech, *events] if rng.random() < 0.25 else [*events, speech]

    def _speech(self, places: list[int], rng: np.random.Generator) -> Event:
        if places is self.statements and self.split == "train":
            if rng.random() < RECORDED_SHARE:
                words = self.words if rng.random() < WORD_SHARE else []
                places = words or self.recorded or places
            elif rng.random() < SHORT_SHARE:
                places = self.short or places
        place = places[int(rng.integers(len(places)))]
        item = self.utterances[place]
        return Event(kind="speech", label=item.text, utterance=place, spoken=item)


def _longer(event: Event, rng: np.random.Generator) -> Event:
    """A sound that goes on for longer, and a row of more events than are counted."""
    if event.seconds is not None:
        return replace(event, seconds=float(rng.uniform(*LONG_SECONDS)))
    return replace(event, count=None) if event.label in ROWS else event


def _any_sound(rng: np.random.Generator, *, gain_db: float = 0.0) -> Event:
    kind = ("sound", "vocal", "music")[int(rng.choice(3, p=(0.65, 0.2, 0.15)))]
    return _heard(kind, rng, gain_db=gain_db)  # type: ignore[arg-type]


def _heard(
    kind: SceneKind, rng: np.random.Generator, *, countable: bool = False, gain_db: float = 0.0
) -> Event:
    """A sound, a vocal sound or a piece of music."""
    seed = int(rng.integers(2**31))
    if kind == "music":
        tune = plan_tune(rng)
        seconds = float(rng.uniform(*MUSIC_SECONDS))
        return Event(
            kind="music",
            label=tune.instrument,
            tune=tune,
            seconds=seconds,
            seed=seed,
            gain_db=gain_db,
        )
    classes = SOUND_CLASSES if kind == "sound" else VOCAL_CLASSES
    fitting = [item for item in classes if item.countable or not countable]
    chosen = fitting[int(rng.integers(len(fitting)))]
    if chosen.countable:
        count = int(rng.integers(1, 4))
        return Event(kind=kind, label=chosen.label, count=count, seed=seed, gain_db=gain_db)  # type: ignore[arg-type]
    seconds = float(rng.uniform(*SOUND_SECONDS)) if kind == "sound" else None
    return Event(kind=kind, label=chosen.label, seconds=seconds, seed=seed, gain_db=gain_db)  # type: ignore[arg-type]
