"""What is played: a melody that walks over a scale above bass and chords, in phrases of four bars, or a drum beat.

The first beat of a bar has the bass, the loudest stroke and a note of the chord, so that the metre is heard; phrases
begin and end on the tonic, and thirds are frequent, so that the mode is.
"""

from dataclasses import dataclass

import numpy as np

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
"""Semitones above the tonic."""
PROGRESSIONS = ((0, 3, 4, 0), (0, 4, 3, 0), (0, 0, 4, 0), (0, 3, 0, 0))
"""Degrees of the scale that the chords of a phrase's four bars stand on."""
RHYTHMS = {
    3: ((1, 1, 1), (2, 1), (1, 1, 0.5, 0.5), (1, 0.5, 0.5, 1)),
    4: ((1, 1, 1, 1), (2, 1, 1), (1, 1, 2), (1, 1, 0.5, 0.5, 1), (1, 0.5, 0.5, 1, 1)),
}
"""Beats that the notes of a bar last, by metre."""
ACCENTS = {3: (1.0, 0.4, 0.4), 4: (1.0, 0.35, 0.55, 0.35)}
"""Loudness of the beats of a bar, by metre."""
BARS = 4
"""Bars of a phrase."""


@dataclass(frozen=True, slots=True)
class Note:
    """One or several pitches struck together."""

    start: float
    """Beats since the piece began."""
    beats: float
    """Duration."""
    pitches: tuple[int, ...]
    """Semitones above the tonic of the accompaniment."""
    loudness: float
    """Amplitude relative to the loudest note."""


def compose(rng: np.random.Generator, *, mode: str, metre: int, phrases: int) -> list[Note]:
    """Notes of `phrases` phrases, accompaniment and melody, in no order."""
    scale = SCALES[mode]
    pattern = str(rng.choice(["bass and chords", "broken", "block"], p=[0.55, 0.3, 0.15]))
    progression = PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))]
    # two bars of the same rhythm and one of another: a motif that makes the bar heard.
    first, other = (RHYTHMS[metre][int(i)] for i in rng.integers(len(RHYTHMS[metre]), size=2))
    lead = rng.uniform(0.7, 1.0)
    notes = []
    for bar in range(BARS * phrases):
        degree, start = progression[bar % BARS], float(bar * metre)
        notes += _accompany(pattern, scale, degree, start, metre)
        if bar % BARS == BARS - 1:
            notes += [Note(start, metre - 1, (12,), lead)]
            notes += [Note(start + metre - 1, 1, (12,), 0.3 * lead)]
        else:
            rhythm = other if bar % BARS == 2 else first
            # a phrase begins on the tonic or the third; later bars on any note of their chord.
            opening = degree + int(rng.choice([2, 2, 0, 4]) if bar % BARS else rng.choice([0, 2]))
            notes += _sing(rng, scale, rhythm, opening, start, ACCENTS[metre], lead)
    return notes


def _pitch(scale: tuple[int, ...], degree: int) -> int:
    """Semitones above the tonic of a degree of the scale, counted from 0 and past the octave."""
    return 12 * (degree // 7) + scale[degree % 7]


def _accompany(
    pattern: str, scale: tuple[int, ...], degree: int, start: float, metre: int
) -> list[Note]:
    """One bar of bass and chord; the bass has the lowest fifth to itself, and the first beat."""
    bass = _pitch(scale, degree)
    third, fifth = (_pitch(scale, degree + step) for step in (2, 4))
    chord = tuple(pitch + 12 * (pitch < 5) for pitch in (bass, third, fifth))
    if pattern == "block":
        hold = [Note(start, metre, tuple({bass, *chord}), 0.9)]
        return hold + [Note(start + beat, 1, (chord[0],), 0.2) for beat in range(1, metre)]
    notes = [Note(start, 1, (bass, chord[1]), 1.0)]
    for beat in range(1, metre):
        loudness = 0.9 * ACCENTS[metre][beat]
        if metre == 4 and beat == 2:
            pitches = (fifth - 12 if fifth > 11 else fifth,)
        else:
            pitches = chord if pattern == "bass and chords" else (chord[(1, 2, 1)[beat - 1]],)
        notes.append(Note(start + beat, 1, pitches, loudness))
    return notes


def _sing(
    rng: np.random.Generator,
    scale: tuple[int, ...],
    rhythm: tuple[float, ...],
    degree: int,
    start: float,
    accents: tuple[float, ...],
    lead: float,
) -> list[Note]:
    """One bar of melody that walks on from a degree of the scale."""
    notes, at = [], 0.0
    for beats in rhythm:
        accent = accents[int(at)] if at == int(at) else 0.3
        notes.append(Note(start + at, beats, (12 + _pitch(scale, degree),), lead * accent))
        degree = int(np.clip(degree + rng.choice([-2, -1, -1, 1, 1, 2]), -1, 8))
        at += beats
    return notes


def compose_drums(rng: np.random.Generator, *, metre: int, phrases: int) -> list[tuple[float, str]]:
    """Strokes of a drum beat: (beats since the beginning, which drum), one bar like the other but for the fills."""
    eighths = rng.uniform() < 0.5
    bass = {3: [0.0], 4: [0.0, 2.0]}[metre]
    snare = {3: [1.0, 2.0], 4: [1.0, 3.0]}[metre]
    if metre == 4 and rng.uniform() < 0.4:
        bass = [*bass, 2.5]
    strokes = []
    for bar in range(BARS * phrases):
        start = float(bar * metre)
        if bar % BARS == 0:
            strokes.append((start, "crash"))
        strokes += [(start + beat, "bass") for beat in bass]
        strokes += [(start + beat, "snare") for beat in snare]
        step = 0.5 if eighths else 1.0
        strokes += [(start + beat, "hat") for beat in np.arange(0, metre, step)]
        if bar % BARS == BARS - 1 and rng.uniform() < 0.5:
            strokes.append((start + metre - 0.5, "snare"))
    return strokes
