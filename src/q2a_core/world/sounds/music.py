"""Tunes: one instrument playing a small piece whose tempo, metre, mode and mood are known.

What is played is composed in `music_score.py`, what it is played on lies in `instruments.py` and
`instruments_drums.py`. A tune is wholly described by its fields: the same tune is the same sound.
"""

from dataclasses import dataclass

import numpy as np

from q2a_core.errors import Q2AError
from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds import PEAK
from q2a_core.world.sounds.acoustics import filter_by, place, swell, to_samples
from q2a_core.world.sounds.instruments import INSTRUMENTS
from q2a_core.world.sounds.instruments_drums import draw_kit
from q2a_core.world.sounds.music_score import BARS, compose, compose_drums

TUNE_INSTRUMENTS = (*INSTRUMENTS, "drums")
"""Labels of all instruments in a fixed order."""
TEMPOS = {"slow": (55, 80), "medium": (95, 120), "fast": (140, 190)}
"""Beats per minute of each class of tempo; the gaps between them are never played."""
METRES = (3, 4)
"""Beats of a bar."""
MODES = ("major", "minor")
"""Scales of a tune."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tune:
    """One piece of music and its truth."""

    instrument: str
    """Label of what it is played on."""
    tempo_bpm: int
    """Beats per minute."""
    mode: str | None
    """"major" or "minor"; None for drums."""
    metre: int
    """Beats of a bar: 3 or 4."""
    mood: str | None
    """"happy", "calm", "sad" or "tense", as `mood_of` has it; None for drums."""
    seed: int
    """All that is left to chance: key, melody, the instrument's make, and where in the piece the clip begins."""

    @property
    def tonic(self) -> int:
        """Pitch class of the key note, 0 for C; drums have none, and ignore it."""
        return int(np.random.default_rng([self.seed, 0]).integers(12))


def tempo_class(bpm: float) -> str:
    """ "slow", "medium" or "fast"; the bounds lie midway between the tempos that are played."""
    if bpm < 87.5:
        return "slow"
    return "medium" if bpm < 130 else "fast"


def mood_of(mode: str | None, tempo_bpm: float) -> str | None:
    """What a tune feels like by rule: major is happy, or calm if slow; minor is tense, or sad if slow."""
    if mode is None:
        return None
    slow = tempo_class(tempo_bpm) == "slow"
    if mode == "major":
        return "calm" if slow else "happy"
    return "sad" if slow else "tense"


def plan_tune(rng: np.random.Generator) -> Tune:
    """A tune with every field drawn evenly over its classes."""
    instrument = TUNE_INSTRUMENTS[int(rng.integers(len(TUNE_INSTRUMENTS)))]
    low, high = TEMPOS[str(rng.choice(list(TEMPOS)))]
    tempo = int(rng.integers(low, high + 1))
    mode = None if instrument == "drums" else MODES[int(rng.integers(len(MODES)))]
    return Tune(
        instrument=instrument,
        tempo_bpm=tempo,
        mode=mode,
        metre=METRES[int(rng.integers(len(METRES)))],
        mood=mood_of(mode, tempo),
        seed=int(rng.integers(2**31)),
    )


def synthesise_tune(tune: Tune, *, seconds: float) -> np.ndarray:
    """Samples (S,) float32, 16 kHz, peak 0.9: `seconds` of the tune, cut out anywhere in the piece.

    Raises Q2AError for an unknown instrument, metre or mode, or a length outside 0.5 to 30 s.
    """
    if tune.instrument not in TUNE_INSTRUMENTS:
        names = ", ".join(TUNE_INSTRUMENTS)
        raise Q2AError(f"There is no instrument {tune.instrument!r}; choose one of {names}.")
    if tune.metre not in METRES:
        raise Q2AError(f"A tune in a metre of {tune.metre} was asked for; choose 3 or 4.")
    if tune.instrument != "drums" and tune.mode not in MODES:
        raise Q2AError(f"There is no mode {tune.mode!r}; choose major or minor.")
    if not 0.5 <= seconds <= 30.0:
        raise Q2AError(f"A tune of {seconds:g} s was asked for; seconds goes from 0.5 to 30.")
    rng = np.random.default_rng([tune.seed, 1])
    samples, beat = to_samples(seconds), 60.0 / tune.tempo_bpm
    phrase = BARS * tune.metre * beat
    # half of the clips begin with a bar, the others wherever the recorder was started.
    begin = rng.uniform(0, phrase)
    if rng.uniform() < 0.5:
        begin = round(begin / (tune.metre * beat)) * tune.metre * beat
    phrases = int((begin + seconds) / phrase) + 1
    perform = _drum if tune.instrument == "drums" else _play
    sound = perform(rng, tune, begin=begin, samples=samples, phrases=phrases)
    sound = sound * swell(samples, attack=0.004, release=min(0.15, 0.2 * seconds))
    return (sound * (PEAK / (float(np.abs(sound).max()) + 1e-9))).astype(np.float32)


def _play(
    rng: np.random.Generator, tune: Tune, *, begin: float, samples: int, phrases: int
) -> np.ndarray:
    """The part of a tune from `begin` (seconds) on, played by one instrument."""
    notes = compose(rng, mode=str(tune.mode), metre=tune.metre, phrases=phrases)
    instrument = INSTRUMENTS[tune.instrument]
    player = instrument.draw(rng)
    low, _ = instrument.lowest
    key = low + (tune.tonic - low) % 12 + rng.uniform(-0.12, 0.12)
    beat, known, pieces = 60.0 / tune.tempo_bpm, {}, []
    touch, late = rng.uniform(0.82, 1.0), rng.uniform(0.001, 0.008)
    for note in notes:
        at = note.start * beat - begin + rng.normal(0, late)
        held = touch * note.beats * beat
        if at > samples / SAMPLE_RATE or at + held < 0:
            continue
        for pitch in note.pitches:
            name = (pitch, note.beats)
            if name not in known:
                frequency = 440.0 * 2 ** ((key + pitch - 69) / 12)
                sound = player.play(frequency, to_samples(held))
                level = float(np.sqrt(np.mean(np.square(sound[: SAMPLE_RATE // 4])))) + 1e-9
                known[name] = sound / level
            loud = note.loudness / len(note.pitches) ** 0.5 * rng.uniform(0.9, 1.1)
            pieces.append(_from(round(at * SAMPLE_RATE), loud * known[name]))
    sound = place(samples, [piece for piece in pieces if len(piece[1])])
    return sound if player.body is None else filter_by(sound, player.body)


def _from(start: int, piece: np.ndarray) -> tuple[int, np.ndarray]:
    """A piece and its first sample, without what lies before the clip."""
    return (start, piece) if start >= 0 else (0, piece[-start:])


def _drum(
    rng: np.random.Generator, tune: Tune, *, begin: float, samples: int, phrases: int
) -> np.ndarray:
    """The part of a drum beat from `begin` (seconds) on; the first beat of a bar is the loudest."""
    kit, beat = draw_kit(rng), 60.0 / tune.tempo_bpm
    drums = {"bass": kit.bass, "snare": kit.snare, "hat": kit.hat, "crash": kit.crash}
    levels = {"bass": 1.0, "hat": rng.uniform(0.15, 0.4), "crash": rng.uniform(0.15, 0.45)}
    levels["snare"] = rng.uniform(0.35, 0.6) if tune.metre == 3 else rng.uniform(0.5, 0.8)
    pieces = []
    for start, drum in compose_drums(rng, metre=tune.metre, phrases=phrases):
        at = round((start * beat - begin + rng.normal(0, 0.003)) * SAMPLE_RATE)
        first = 1.0 if start % tune.metre == 0 else 0.55
        stroke = drums[drum] / (np.abs(drums[drum]).max() + 1e-9)
        pieces.append(_from(at, stroke * (levels[drum] * first * rng.uniform(0.9, 1.1))))
    return place(samples, [piece for piece in pieces if len(piece[1])])
