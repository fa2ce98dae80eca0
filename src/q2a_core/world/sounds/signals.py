"""Things made to be heard: bell, alarm, siren, horn and telephone.

`bell`, `horn` and `phone` make `count` strokes, honks or rings; `alarm` and `siren` fill a length.
"""

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds.acoustics import (
    BAND_EDGE,
    contour,
    cycles,
    event_seconds,
    filter_by,
    formant_gain,
    in_sequence,
    log_uniform,
    noise,
    pulses,
    ring,
    swell,
    to_samples,
    tone,
    wander,
)

CHURCH_BELL = (
    (0.5, 1.0),
    (1.0, 0.9),
    (1.19, 0.8),
    (1.5, 0.4),
    (2.0, 1.0),
    (2.51, 0.5),
    (2.66, 0.4),
    (3.01, 0.5),
    (4.16, 0.3),
)
"""Partials of a tuned bell, hum to superquint: (ratio to the strike note, weight)."""
HAND_BELL = ((1.0, 1.0), (1.52, 0.15), (2.76, 0.8), (3.9, 0.25), (5.4, 0.5), (8.9, 0.3))
"""Partials of a small bell, near those of a free bar: (ratio, weight)."""


def _bell_modes(
    rng: np.random.Generator, base: float, partials: tuple[tuple[float, float], ...], seconds: float
) -> list[tuple[float, float, float]]:
    modes = []
    for ratio, weight in partials:
        frequency = base * ratio * rng.uniform(0.99, 1.01)
        lasting = seconds * rng.uniform(0.7, 1.2) * (0.5 / (0.5 + 0.35 * ratio)) * 1.6
        modes.append((frequency, lasting, weight * rng.uniform(0.4, 1.2)))
        # a bell is never quite round: its modes come in close pairs that beat.
        modes.append(
            (frequency * (1 + rng.uniform(0.0005, 0.004)), lasting, weight * rng.uniform(0.1, 0.6))
        )
    return modes


def bell(rng: np.random.Generator, count: int) -> np.ndarray:
    """Strokes of a church bell or a hand bell; each sounds on into the next."""
    large = rng.uniform() < 0.55
    base = log_uniform(rng, 180, 900) if large else log_uniform(rng, 900, 2_800)
    seconds = rng.uniform(1.8, 4.0) if large else rng.uniform(0.6, 2.5)
    modes = _bell_modes(rng, base, CHURCH_BELL if large else HAND_BELL, seconds)
    spacing = min(log_uniform(rng, 0.5, 1.3), 2.8 / count)
    starts = (
        np.arange(count) * spacing + rng.uniform(-0.03, 0.03, count) * (np.arange(count) > 0)
    ) * SAMPLE_RATE
    tail = min(seconds, 4.0 - spacing * (count - 1) - 0.05)
    samples = int(starts[-1]) + to_samples(tail)
    blow = np.zeros(samples, dtype=np.float32)
    # a hard clapper touches briefly and so wakes the high partials.
    width = to_samples(log_uniform(rng, 0.0001, 0.0008))
    for start in starts.astype(int):
        blow[start : start + width] += rng.uniform(0.75, 1.0) * np.hanning(width + 2)[1:-1]
    stroke = ring(blow, modes)
    clap = ring(
        blow * rng.uniform(0, 0.5),
        [(rng.uniform(2_000, 6_000), 0.02, 1.0), (rng.uniform(500, 2_000), 0.03, 1.0)],
    )
    return (stroke + clap) * swell(samples, attack=0.0005, release=min(0.4, 0.5 * tail))


def alarm(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Electronic beeps in a strict pattern: groups of short ones, an even row, or two tones in turn."""
    pitch = log_uniform(rng, 700, 4_400)
    beep, rest = rng.uniform(0.05, 0.16), rng.uniform(0.04, 0.14)
    group = int(rng.integers(1, 5))
    pause = rng.uniform(0.25, 0.9) if group > 1 else rng.uniform(0.08, 0.5)
    if group == 1:
        beep = rng.uniform(0.08, 0.4)
    second = float(rng.choice([1.0, 1.0, 1.0, 0.8, 1.25]))
    cycle = group * (beep + rest) + pause
    time = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    turn = np.floor(time / cycle)
    within = time - turn * np.float32(cycle)
    slot = np.floor(within / (beep + rest))
    inside = within - slot * np.float32(beep + rest)
    # most fade in and out softly; cheap buzzers are switched, and click
    edge = log_uniform(rng, 0.0003, 0.006)
    gate = np.clip(np.minimum(inside, beep - inside) / edge, 0.0, 1.0) * (slot < group)
    odd = (slot + turn) % 2
    frequency = pitch * (1.0 + (second - 1.0) * odd)
    wave = tone(frequency) * rng.uniform(0.5, 1)
    for harmonic in (2, 3, 5):
        if harmonic * frequency.max() < BAND_EDGE:
            wave = wave + rng.uniform(0, 0.5) / (harmonic - 1) * tone(
                harmonic * frequency, start=rng.uniform()
            )
    return wave * gate


def siren(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Emergency siren: a wail that climbs and sinks, a quick yelp, two notes in turn, or a motor that runs down."""
    seconds = samples / SAMPLE_RATE
    kind = rng.choice(["wail", "yelp", "two notes", "motor"], p=[0.4, 0.22, 0.26, 0.12])
    low = log_uniform(rng, 300, 850)
    if kind == "two notes":
        period = min(rng.uniform(0.7, 1.3), seconds)
        high = low * rng.uniform(1.2, 1.45)
        swing = np.clip(
            8 * np.sin(2 * np.pi * (np.arange(samples) / SAMPLE_RATE / period + rng.uniform())),
            -1,
            1,
        )
        frequency = low + (high - low) * (0.5 + 0.5 * swing)
    elif kind == "motor":
        low, sinks = low * rng.uniform(1.0, 1.7), rng.uniform(0.4, 0.75)
        top_at = rng.uniform(0.0, 0.3)
        frequency = low * contour(samples, [(-0.01, 0.8), (top_at, 1), (1.01, sinks)])
    else:
        # most of a sweep fits in the clip, or it would be a held note.
        slow = min(log_uniform(rng, 1.6, 9.0), 1.6 * seconds)
        period = slow if kind == "wail" else rng.uniform(0.2, 0.5)
        high = low * rng.uniform(1.6, 3.2)
        place_in_sweep = (np.arange(samples) / SAMPLE_RATE / period + rng.uniform()) % 1.0
        climb = rng.uniform(0.3, 0.6)
        swing = np.where(
            place_in_sweep < climb, place_in_sweep / climb, (1 - place_in_sweep) / (1 - climb)
        )
        frequency = low * (high / low) ** (0.5 - 0.5 * np.cos(np.pi * swing))
    frequency = frequency.astype(np.float32) * contour(
        samples, [(0, 1), (1, rng.uniform(0.93, 1.05))]
    )
    wave = pulses(frequency)
    trumpet = formant_gain(
        [log_uniform(rng, 600, 1_100), log_uniform(rng, 1_300, 2_600)],
        sharpness=1.5,
        tilt_hz=log_uniform(rng, 700, 2_500),
        order=1 if kind == "motor" else 2,
    )
    passing = contour(
        samples, [(0, rng.uniform(0.3, 1)), (rng.uniform(0.3, 0.7), 1), (1, rng.uniform(0.3, 1))]
    )
    return filter_by(wave, trumpet) * passing * swell(samples, attack=0.03, release=0.06)


def horn(rng: np.random.Generator, count: int) -> np.ndarray:
    """Honks: two buzzing notes a third apart (or one), at once on and at once off."""
    pitch = log_uniform(rng, 190, 560)
    ratio = rng.uniform(1.17, 1.28)
    one_note = rng.uniform() < 0.25
    mouth = formant_gain(
        [
            log_uniform(rng, 500, 1_000),
            log_uniform(rng, 1_400, 2_300),
            log_uniform(rng, 2_500, 3_800),
        ],
        sharpness=2.0,
        tilt_hz=log_uniform(rng, 1_000, 3_500),
        order=rng.uniform(1.0, 2.5),
    )
    honks = []
    for seconds in event_seconds(rng, count, 0.15, 1.2):
        n = to_samples(seconds)
        starting = contour(n, [(0, 0.97), (min(0.5, 0.03 / seconds), 1), (1, 1)])
        buzz = pulses(pitch * starting)
        if not one_note:
            buzz += pulses(pitch * ratio * starting)
        buzz += 0.05 * noise(rng, n)
        honks.append(filter_by(buzz, mouth) * swell(n, attack=0.015, release=0.03))
    return in_sequence(rng, honks, gap=(0.13, 0.6))


def phone(rng: np.random.Generator, count: int) -> np.ndarray:
    """Telephone rings: a hammer between two small gongs, or an electronic warble of two tones."""
    mechanical = rng.uniform() < 0.5
    rate = rng.uniform(18, 28) if mechanical else rng.uniform(11, 22)
    base = log_uniform(rng, 1_000, 2_200) if mechanical else log_uniform(rng, 650, 1_800)
    ratio = rng.uniform(1.1, 1.35)
    rings = []
    for seconds in event_seconds(rng, count, 0.5, 1.6):
        n = to_samples(seconds)
        beats = cycles(np.full(n, rate, dtype=np.float32) * (1 + 0.01 * wander(rng, n, 10)))
        if mechanical:
            blows = (np.diff(np.floor(beats), prepend=-1.0) > 0) * (1 + 0.2 * wander(rng, n, 60))
            even = np.floor(beats) % 2 == 0
            gongs = [(0.25, 1.0), (0.18, 0.6), (0.12, 0.4)]
            overtones = (1.0, rng.uniform(2.2, 2.8), rng.uniform(3.4, 4.4))
            one = ring(
                blows * even, [(base * o, s, w) for o, (s, w) in zip(overtones, gongs, strict=True)]
            )
            two = ring(
                blows * ~even,
                [(base * ratio * o, s, w) for o, (s, w) in zip(overtones, gongs, strict=True)],
            )
            sound = one + two
        else:
            turn = np.where(beats % 1.0 < 0.5, base, base * ratio).astype(np.float32)
            sound = (
                tone(turn)
                + rng.uniform(0.1, 0.5) * tone(np.minimum(3 * turn, 7_800))
                + rng.uniform(0, 0.3) * tone(2 * turn)
            )
        rings.append(sound * swell(n, attack=0.01, release=0.12 if mechanical else 0.02))
    return in_sequence(rng, rings, gap=(0.25, 0.6))
