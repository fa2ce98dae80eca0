"""Musical instruments from their physics: struck and plucked strings, a bowed string, pipes, brass and bars.

Each function draws one instrument of its kind (brightness, body, vibrato) and returns a player that sounds any note
on it. Drums, which have no notes, are in `instruments_drums.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds.acoustics import (
    BAND_EDGE,
    Gain,
    band_gain,
    contour,
    cycles,
    decay,
    filter_by,
    formant_gain,
    log_uniform,
    noise,
    pulses,
    swell,
    to_samples,
    wander,
)

Play = Callable[[float, int], np.ndarray]
"""Sound of a note of a frequency (Hz) held for a number of samples; it may ring on for longer."""
STRING_TABLE = 256
"""Points of one period of a plucked string."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Player:
    """One instrument, ready to play."""

    play: Play
    """Sounds a note."""
    body: Gain | None
    """What the body of the instrument makes of all notes together; None if the notes have it already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """One kind of instrument with pitches."""

    noun: str
    """With its article: "a piano"."""
    lowest: tuple[int, int]
    """MIDI numbers between which the lowest tonic of the accompaniment lies; the tune is an octave above it."""
    draw: Callable[[np.random.Generator], Player]
    """Draws one of the kind."""


def _partials(phase: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum of harmonics of a phase (periods) with these weights, by Chebyshev's recurrence: two sines in all."""
    angle = (phase - np.floor(phase)).astype(np.float32) * np.float32(2 * np.pi)
    before, now, twice = np.zeros_like(angle), np.sin(angle), 2 * np.cos(angle)
    total = weights[0] * now
    for weight in weights[1:]:
        before, now = now, twice * now - before
        total += weight * now
    return total


def _audible(frequency: float, most: int) -> np.ndarray:
    """Numbers of the harmonics of `frequency` that fit the band, at most `most`, float32."""
    most = max(1, min(most, int(BAND_EDGE / frequency)))
    return np.arange(1, most + 1, dtype=np.float32)


def piano(rng: np.random.Generator) -> Player:
    """Struck strings: stiff, so that high partials are sharp; a quick first decay, a slow second, a hammer's knock."""
    bright, stiff = rng.uniform(0.75, 1.5), log_uniform(rng, 1e-4, 7e-4)
    ring_s, strike = log_uniform(rng, 2.0, 6.0), rng.uniform(0.1, 0.14)
    knock, beat = rng.uniform(0.02, 0.12), rng.uniform(0.3, 1.2)

    def play(frequency: float, samples: int) -> np.ndarray:
        n = samples + to_samples(0.1)
        time = np.arange(n, dtype=np.float32) / SAMPLE_RATE
        sound = knock * filter_by(noise(rng, n) * decay(n, seconds=0.05), band_gain(150, 1_500))
        lasting = ring_s * (262 / frequency) ** 0.4
        for k in _audible(frequency, 14):
            pitch = k * frequency * np.sqrt(1 + stiff * k * k)
            if pitch > BAND_EDGE:
                break
            weight = abs(np.sin(np.pi * k * strike)) / k**bright * (262 / pitch) ** 0.25
            slow = np.exp(time * np.float32(-6.91 * (1 + 0.35 * k) / lasting))
            shape = slow * (0.4 + 0.6 * slow * slow) * (1 + 0.1 * np.cos(beat * k * time))
            sound += weight * shape * np.sin(np.float32(2 * np.pi * pitch) * time)
        return sound * swell(n, attack=0.003, release=0.1)

    return Player(play=play, body=None)


def guitar(rng: np.random.Generator) -> Player:
    """Plucked strings after Karplus and Strong: a burst of noise whose period loses its edges each time around."""
    bright, pick = rng.uniform(0.3, 1.0), rng.uniform(0.12, 0.35)
    ring_s, dull = log_uniform(rng, 1.2, 4.0), log_uniform(rng, 0.15, 0.6)

    def play(frequency: float, samples: int) -> np.ndarray:
        n = samples + to_samples(0.12)
        k = _audible(frequency, STRING_TABLE // 2 - 1)
        # the pluck: noise over a triangle, weak where a harmonic has a node at the pick.
        pluck = np.zeros(STRING_TABLE // 2 + 1, dtype=np.complex64)
        rough = rng.standard_normal((2, len(k)))
        pluck[1 : len(k) + 1] = np.sin(np.pi * k * pick) * k ** (-1.6 + bright)
        pluck[1 : len(k) + 1] *= 1 + 0.35 * (rough[0] + 1j * rough[1])
        # once around the string costs each harmonic what averaging two neighbours costs it.
        loop = np.zeros(len(pluck), dtype=np.float32)
        loop[1 : len(k) + 1] = 10 ** (-3 / (ring_s * frequency)) * (
            1 - dull * (1 - np.cos(np.pi * k * frequency / 8_000)) * 0.5
        )
        periods = int(n * frequency / SAMPLE_RATE) + 3
        powers = loop[None] ** np.arange(periods, dtype=np.float32)[:, None]
        rows = np.fft.irfft(pluck * powers, STRING_TABLE, axis=1).astype(np.float32).ravel()
        at = np.arange(n) * (frequency * STRING_TABLE / SAMPLE_RATE)
        sound = np.interp(at, np.arange(len(rows)), rows).astype(np.float32)
        sound /= np.abs(sound).max() + 1e-9
        return sound * swell(n, attack=0.001, release=0.12)

    box = [log_uniform(rng, 90, 120), log_uniform(rng, 180, 240), log_uniform(rng, 350, 480)]
    body = formant_gain(box, sharpness=rng.uniform(2, 4), tilt_hz=3_000)
    return Player(play=play, body=lambda f: 0.6 + body(f))


def violin(rng: np.random.Generator) -> Player:
    """Bowed strings: the saw of a string that sticks and slips, vibrato, rosin's hiss, and the body's resonances."""
    rate, depth = rng.uniform(4.8, 6.8), rng.uniform(0.003, 0.011)
    attack, hiss = log_uniform(rng, 0.04, 0.12), log_uniform(rng, 0.01, 0.06)

    def play(frequency: float, samples: int) -> np.ndarray:
        n = samples + to_samples(0.08)
        time = np.arange(n) / SAMPLE_RATE
        sway = np.sin(2 * np.pi * (rate * time + rng.uniform())) * np.clip(time / 0.25, 0, 1)
        f0 = frequency * (1 + depth * sway + 0.002 * wander(rng, n, 12))
        sound = pulses(f0) * (1 + 0.1 * wander(rng, n, 8)) + hiss * 3 * noise(rng, n)
        sound *= swell(n, attack=min(attack, 0.3 * n / SAMPLE_RATE), release=0.09)
        return sound * contour(n, [(0, 0.7), (0.35, 1), (1, 0.75)])

    # air, wood and the "bridge hill" of a violin; 1/f makes the saw of the pulses.
    wood = [(280.0, 1.1), (460.0, 1.0), (550.0, 1.0), (1_100.0, 0.7), (2_500.0, 1.2)]
    peaks = [(f * log_uniform(rng, 0.9, 1.1), w * rng.uniform(0.5, 1.4)) for f, w in wood]
    top = log_uniform(rng, 3_000, 6_000)

    def body(frequencies: np.ndarray) -> np.ndarray:
        f = np.maximum(frequencies, 20.0)
        total = np.full(len(f), 0.35, dtype=np.complex64)
        for index, (peak, weight) in enumerate(peaks):
            total += (-1) ** index * weight / (1 + 1j * 5 * (f / peak - peak / f))
        return total * (500 / f) / (1 + (f / top) ** 2)

    return Player(play=play, body=body)


def flute(rng: np.random.Generator) -> Player:
    """A blown edge: few harmonics, breath around them, a soft chiff, and a vibrato of loudness more than pitch."""
    rate, depth = rng.uniform(4.2, 6.0), rng.uniform(0.04, 0.22)
    breath, attack = log_uniform(rng, 0.03, 0.16), rng.uniform(0.03, 0.08)
    weights = np.array([1, rng.uniform(0.15, 0.7), rng.uniform(0.05, 0.3), 0.06, 0.03, 0.01])

    def play(frequency: float, samples: int) -> np.ndarray:
        n = samples + to_samples(0.06)
        time = np.arange(n) / SAMPLE_RATE
        sway = np.sin(2 * np.pi * rate * time) * np.clip((time - 0.1) / 0.3, 0, 1)
        k = _audible(frequency, 6)
        f0 = frequency * (1 + 0.015 * depth * sway - 0.012 * np.exp(-time / 0.03))
        tone = _partials(cycles(f0), weights[: len(k)].astype(np.float32))
        air = noise(rng, n) * (breath + 3 * breath * np.exp(-time / 0.03))
        wind = filter_by(air, band_gain(0.8 * frequency, 4_500, order=1))
        level = swell(n, attack=min(attack, 0.3 * n / SAMPLE_RATE), release=0.07)
        return (tone + wind) * (1 + depth * sway + 0.04 * wander(rng, n, 15)) * level

    return Player(play=play, body=None)


def trumpet(rng: np.random.Generator) -> Player:
    """Buzzing lips and a bell: brighter the louder, so the attack and the fade are dull and the middle blares."""
    blare, attack = rng.uniform(0.5, 1.2), log_uniform(rng, 0.02, 0.06)
    rate, depth = rng.uniform(4.5, 6.0), rng.uniform(0.0, 0.006)
    centre = log_uniform(rng, 1_000, 1_600)

    def play(frequency: float, samples: int) -> np.ndarray:
        n = samples + to_samples(0.05)
        time = np.arange(n) / SAMPLE_RATE
        scoop = rng.uniform(0.005, 0.03) * np.exp(-time / 0.025)
        sway = depth * np.sin(2 * np.pi * rate * time) * np.clip((time - 0.15) / 0.3, 0, 1)
        f0 = frequency * (1 + sway - scoop + 0.0015 * wander(rng, n, 30))
        k = _audible(frequency, 24)
        # harmonics rise to the formant of bell and mouthpiece and fall beyond it.
        loud = (k * frequency / centre) ** (0.4 * blare) / (1 + (k * frequency / centre) ** 3)
        phase = cycles(f0)
        level = swell(n, attack=min(attack, 0.3 * n / SAMPLE_RATE), release=0.06)
        level *= contour(n, [(0, 1), (0.15, 0.85), (0.7, 0.9), (1, 0.7)])
        bright = _partials(phase, (loud / loud.max()).astype(np.float32))
        return (bright * level + 0.5 * np.sin(2 * np.pi * (phase % 1)) * (1 - level)) * level

    return Player(play=play, body=None)


def organ(rng: np.random.Generator) -> Player:
    """Ranks of pipes or tone wheels: harmonics that stand quite still, on at once and off at once."""
    ratios = np.array([1, 2, 3, 4, 6, 8, 10, 12, 16])
    drawn = rng.uniform(0, 1, 9) ** 1.5 / np.array([1, 1, 1.3, 1.3, 1.5, 1.8, 2.5, 2.5, 3])
    drawn[:2] += rng.uniform(0.4, 0.9, 2)
    weights = np.zeros(16, dtype=np.float32)
    weights[ratios - 1] = drawn
    rotor, shake = rng.uniform(5.5, 7.0), rng.uniform(0.1, 0.35) * (rng.uniform() < 0.5)
    attack, click = log_uniform(rng, 0.004, 0.04), rng.uniform(0.0, 0.1)

    def play(frequency: float, samples: int) -> np.ndarray:
        n = samples + to_samples(0.03)
        time = np.arange(n) / SAMPLE_RATE
        # harmonics of half the pitch: the sub-octave stop comes first.
        most = len(_audible(frequency / 2, 16))
        phase = frequency / 2 * time + 0.0008 * shake * np.sin(2 * np.pi * rotor * time) * frequency
        sound = _partials(phase, weights[:most])
        sound += click * noise(rng, n) * np.exp(-time / 0.004)
        sound *= 1 + 0.5 * shake * np.sin(2 * np.pi * rotor * time)
        return sound.astype(np.float32) * swell(n, attack=attack, release=0.04)

    return Player(play=play, body=None)


def marimba(rng: np.random.Generator) -> Player:
    """Wooden bars under mallets: a deep tone two octaves below its first overtone, soon gone."""
    ratios = (1.0, rng.uniform(3.85, 4.05), rng.uniform(9.0, 10.2))
    hard, ring_s = rng.uniform(0.1, 0.6), log_uniform(rng, 0.45, 1.3)
    knock = rng.uniform(0.05, 0.3)

    def play(frequency: float, samples: int) -> np.ndarray:
        del samples  # a bar can't be held.
        lasting = ring_s * (262 / frequency) ** 0.5
        n = to_samples(min(0.8, 0.8 * lasting))
        time = np.arange(n, dtype=np.float32) / SAMPLE_RATE
        sound = knock * filter_by(noise(rng, n) * decay(n, seconds=0.02), band_gain(300, 3_000))
        for index, ratio in enumerate(ratios):
            if ratio * frequency < BAND_EDGE:
                angle = np.float32(2 * np.pi * ratio * frequency) * time
                sound += hard**index * np.sin(angle) * decay(n, seconds=lasting / ratio**0.9)
        return sound * swell(n, attack=0.002, release=0.1)

    return Player(play=play, body=None)


INSTRUMENTS = {
    "piano": Instrument(noun="a piano", lowest=(43, 55), draw=piano),
    "guitar": Instrument(noun="a guitar", lowest=(41, 52), draw=guitar),
    "violin": Instrument(noun="a violin", lowest=(55, 66), draw=violin),
    "flute": Instrument(noun="a flute", lowest=(60, 71), draw=flute),
    "trumpet": Instrument(noun="a trumpet", lowest=(52, 62), draw=trumpet),
    "organ": Instrument(noun="an organ", lowest=(43, 55), draw=organ),
    "marimba": Instrument(noun="a marimba", lowest=(48, 59), draw=marimba),
}
"""Kinds of instruments with pitches."""
