"""Four-legged callers: a voice through a throat that opens and closes.

Each public function makes `count` calls of one animal, whose size and temper are drawn once. Pitch, duration and
formants follow what recordings of the species show; ranges are wide on purpose (puppy to mastiff, lamb to ram).
"""

from dataclasses import replace

import numpy as np

from q2a_core.world.sounds.acoustics import (
    band_gain,
    contour,
    event_seconds,
    filter_by,
    in_sequence,
    log_uniform,
    noise,
    swell,
    to_samples,
    tone,
    wander,
)
from q2a_core.world.sounds.throat import Throat, breaking, draw_throat, utter

HOWL_SHARE, HOWLING_ROW = 0.15, 4
"""Dogs whose last bark becomes a howl, where they bark less often than this; in longer rows they may howl only."""


def dog(rng: np.random.Generator, count: int) -> np.ndarray:
    """Barks: a short pitch arch with a hard attack, tone and hiss; of large dogs hardly more than a cough."""
    pitch = log_uniform(rng, *((75, 300) if rng.uniform() < 0.3 else (220, 1_100)))
    if count > HOWLING_ROW and rng.uniform() < 2 * HOWL_SHARE:
        return in_sequence(rng, [_howl(rng, pitch, 1.5, 3.8)], gap=(0.1, 0.2))
    throat = draw_throat(
        rng,
        tilt_hz=log_uniform(rng, 240, 2_600),
        breath=(0.03, 2.8),
        roughness=(0, 0.9),
        scale=(0.55, 1.4),
    )
    peak_at, depth = rng.uniform(0.15, 0.6), rng.uniform(0.25, 0.8)
    attack = log_uniform(rng, 0.006, 0.08)
    barks = []
    for seconds in event_seconds(rng, count, 0.1, 0.42):
        n = to_samples(seconds)
        top = pitch * rng.uniform(0.92, 1.08)
        f0 = contour(n, [(0, top * depth), (peak_at, top), (1, top * depth * rng.uniform(0.7, 1))])
        closed, wide = (500.0, 1_300.0, 2_600.0), (950.0, 1_700.0, 3_000.0)
        bark = utter(
            rng,
            throat,
            f0,
            [closed, wide, closed],
            jitter=0.04 * throat.roughness,
            jitter_rate=180,
        )
        bark *= contour(n, [(0, 1), (rng.uniform(0.25, 0.6), 0.9), (1, 0.1)])
        barks.append(bark * swell(n, attack=attack, release=0.4 * seconds))
    if count < HOWLING_ROW and rng.uniform() < HOWL_SHARE:
        barks[-1] = np.concatenate([barks[-1][: len(barks[-1]) // 2], _howl(rng, pitch, 0.8, 2.4)])
    return in_sequence(rng, barks, gap=(0.13, 0.7))


def _howl(rng: np.random.Generator, pitch: float, low: float, high: float) -> np.ndarray:
    """One clear voice, drawn out for `low` to `high` seconds, that steps from note to note or sinks."""
    n = to_samples(rng.uniform(low, high))
    throat = draw_throat(
        rng, tilt_hz=log_uniform(rng, 500, 2_600), breath=(0.01, 0.6), roughness=(0, 0.3)
    )
    held = min(max(pitch, 220.0), 800.0) * rng.uniform(0.9, 1.3)
    path = [(0, rng.uniform(0.6, 0.95)), (0.08, 1.0)]
    for place in np.linspace(0.25, 0.85, int(rng.integers(0, 4))) + rng.uniform(-0.1, 0.1):
        path += [(place, path[-1][1]), (place + 0.004, rng.uniform(0.75, 1.25))]
    path.append((1, path[-1][1] * rng.uniform(0.6, 1.0)))
    round_mouth = (500.0, 1_000.0, 2_600.0)
    howl = utter(rng, throat, held * contour(n, path), [round_mouth], jitter=0.006, jitter_rate=8)
    howl *= contour(n, [(0, 0.8), (0.3, 1), (0.8, 0.7), (1, 0.2)])
    return howl * swell(n, attack=0.02, release=0.15)


def cat(rng: np.random.Generator, count: int) -> np.ndarray:
    """Meows: a long pitch arch while the mouth opens from "mi" to "a" and closes to "ow"."""
    # kittens' are shrill and short
    pitch = log_uniform(rng, 300, 1_500)
    throat = draw_throat(
        rng, tilt_hz=log_uniform(rng, 800, 4_500), breath=(0.01, 1.0), roughness=(0, 0.5)
    )
    arch, peak_at = rng.uniform(1.0, 1.9), rng.uniform(0.05, 0.75)
    end = rng.uniform(0.55, 1.0)
    shake = rng.uniform(0.0, 0.02)
    loudest = rng.uniform(0.25, 0.55)
    meows = []
    for seconds in event_seconds(rng, count, 0.22 if pitch > 700 else 0.35, 2.4):
        n = to_samples(seconds)
        start = pitch * rng.uniform(0.92, 1.08)
        f0 = contour(n, [(0, start), (peak_at, start * arch), (1, start * end)])
        f0 *= 1 + shake * tone(np.full(n, rng.uniform(5, 9)))
        mi, ma, ow = (
            (600.0, 2_300.0, 3_600.0),
            (1_300.0, 2_100.0, 3_900.0),
            (700.0, 1_250.0, 3_000.0),
        )
        meow = utter(rng, throat, f0, [mi, ma, ow], jitter=0.008, jitter_rate=40)
        meow *= contour(n, [(0, rng.uniform(0.2, 0.7)), (loudest, 1), (0.75, 0.7), (1, 0.25)])
        meows.append(meow * swell(n, attack=0.04, release=0.25 * seconds))
    return in_sequence(rng, meows, gap=(0.2, 0.7))


def cow(rng: np.random.Generator, count: int) -> np.ndarray:
    """Moos: low and long, hummed through the nose first, then open, at once or little by little.

    Some break higher; others climb in one arch, hold, and sink again.
    """
    pitch = log_uniform(rng, 50, 260)
    throat = draw_throat(
        rng,
        tilt_hz=log_uniform(rng, 400, 4_500),
        breath=(0.02, 0.9),
        roughness=(0, 0.7),
        scale=(0.75, 1.3),
    )
    rise, breaks = rng.uniform(1.05, 1.7), rng.uniform() < 0.35
    arched = rng.uniform() < 0.45
    opens = rng.uniform(0.2, 0.6)
    at_once, hummed, closed = (
        rng.uniform() < 0.5,
        rng.uniform(0.05, 0.5),
        log_uniform(rng, 250, 1_000),
    )
    moos = []
    for seconds in event_seconds(rng, count, 0.7, 2.6):
        n = to_samples(seconds)
        high = pitch * (rng.uniform(1.9, 2.6) if breaks else rise)
        before = pitch if breaks else pitch * (1 + 0.6 * (rise - 1))
        path = [(0, pitch), (opens, before), (opens + 0.06, high), (0.85, high * 0.95)]
        if arched:
            path = [(0, pitch), (min(0.5, opens + 0.1), high), (rng.uniform(0.65, 0.9), high)]
        f0 = contour(n, [*path, (1, high * rng.uniform(0.6 if arched else 0.7, 0.95))])
        hum, moo, maw = (240.0, 900.0, 2_000.0), (380.0, 750.0, 2_300.0), (620.0, 1_100.0, 2_500.0)
        call = utter(rng, throat, f0, [hum, moo, maw, maw, moo], jitter=0.01, jitter_rate=50)
        if at_once:
            nose = filter_by(call, band_gain(20, closed, order=2))
            call = breaking(nose, call, [opens])
            loud = [(0, 0.5 * hummed), (opens, hummed), (opens + 0.02, 1), (0.9, 0.8), (1, 0.3)]
        else:
            loud = [(0, 0.3), (opens, 0.6), (min(0.8, opens + 0.2), 1), (1, 0.4)]
        call *= contour(n, loud)
        moos.append(call * swell(n, attack=0.08, release=0.15 * seconds))
    return in_sequence(rng, moos, gap=(0.2, 0.7))


def sheep(rng: np.random.Generator, count: int) -> np.ndarray:
    """Bleats: a steady, buzzing "eh" that flutters in loudness and pitch, of some hardly, of others till it breaks."""
    pitch = log_uniform(rng, 100, 560)
    throat = draw_throat(
        rng, tilt_hz=log_uniform(rng, 1_500, 5_500), breath=(0.03, 1.0), roughness=(0, 0.6)
    )
    # a mouth wide open: the second formant is often the loudest, and the resonances are blunt
    throat = replace(throat, fall_db=rng.uniform(-7, 6), sharpness=log_uniform(rng, 1.2, 5.0))
    rate, deep = rng.uniform(5.5, 14.0), rng.uniform(0.02, 0.6)
    begins, ends = rng.uniform(0.65, 0.95, 2)
    second = log_uniform(rng, 1_250, 2_700)
    first = rng.uniform(0.75, 1.45)
    # what is loud begins at the first formant: of the chest below it little is heard
    chest = band_gain(780 * first * rng.uniform(0.1, 0.85), 7_600, order=2)
    held, stops = rng.uniform(0.5, 1.0), rng.uniform(0.05, 0.2)
    bleats = []
    for seconds in event_seconds(rng, count, 0.45, 1.8):
        n = to_samples(seconds)
        shaking = tone(rate * (1 + 0.12 * wander(rng, n, 8)), start=rng.uniform())
        shaking *= contour(n, [(0, 0.2), (0.3, 1), (1, 1)])
        f0 = pitch * contour(n, [(0, begins), (0.25, 1.05), (0.7, 1), (1, ends)])
        f0 *= 1 + 0.06 * deep * shaking
        meh, baa = (
            (450.0 * first, 0.8 * second, 1.7 * second),
            (780.0 * first, second, 1.75 * second),
        )
        bleat = utter(rng, throat, f0, [meh, baa, baa], jitter=0.015)
        bleat *= (1 - deep * (0.5 + 0.5 * shaking)) * contour(n, [(0, held), (0.2, 1), (1, held)])
        bleat = filter_by(bleat, chest) * swell(n, attack=0.04, release=stops * seconds)
        bleats.append(bleat)
    return in_sequence(rng, bleats, gap=(0.2, 0.8))


def horse(rng: np.random.Generator, count: int) -> np.ndarray:
    """Neighs: a shrill call that climbs, then shakes its way down to a low nicker; some squeal, and blow after it."""
    high = log_uniform(rng, 450, 2_400)
    throat = draw_throat(
        rng, tilt_hz=log_uniform(rng, 1_600, 3_600), breath=(0.08, 1.0), roughness=(0.0, 0.6)
    )
    rate, deep = rng.uniform(8.0, 15.0), rng.uniform(0.03, 0.14)
    top_at, low = rng.uniform(0.1, 0.45), rng.uniform(0.2, 0.45)
    shaken = rng.uniform(0.25, 0.6)
    squeals = rng.uniform() < 0.35
    neighs = []
    for seconds in event_seconds(rng, count, 0.9, 2.1):
        n = to_samples(seconds)
        shaking = tone(rate * contour(n, [(0, 0.9), (1, rng.uniform(0.8, 1.3))]))
        late = contour(n, [(0, 0.05), (top_at, 0.4), (top_at + 0.2, 1), (1, 1)])
        f0 = high * contour(n, [(0, rng.uniform(0.5, 0.8)), (top_at, 1), (0.75, 0.5), (1, low)])
        f0 *= 1 + deep * shaking * late
        shrill, middle, nicker = (
            (1_100.0, 2_200.0, 3_600.0),
            (900.0, 1_800.0, 3_000.0),
            (500.0, 1_300.0, 2_300.0),
        )
        neigh = utter(rng, throat, f0, [shrill, middle, nicker], jitter=0.015)
        neigh *= 1 - shaken * late * (0.5 + 0.5 * shaking)
        neigh *= contour(n, [(0, 0.3), (top_at + 0.05, 1), (0.75, 0.6), (1, 0.2)])
        if squeals:
            neigh = _squeal(rng, throat, n, high * rng.uniform(0.9, 1.1))
        neighs.append(neigh * swell(n, attack=0.05, release=0.15 * seconds))
    return in_sequence(rng, neighs, gap=(0.25, 0.6))


def _squeal(rng: np.random.Generator, throat: Throat, n: int, top: float) -> np.ndarray:
    """A horse's call in one arch, with a low voice under it, and the breath that it blows out afterwards."""
    ends = rng.uniform(0.45, 0.75)
    arch = [(0, rng.uniform(0.5, 0.8)), (0.3 * ends, 1), (ends, rng.uniform(0.8, 1)), (1, 0.6)]
    voice = utter(rng, throat, top * contour(n, arch), [(1_000.0, 2_100.0, 3_400.0)], jitter=0.01)
    voice *= contour(n, [(0, 0.3), (0.2 * ends, 1), (0.9 * ends, 0.9), (ends, 0.05), (1, 0)])
    low = np.full(n, rng.uniform(80, 160), dtype=np.float32)
    chest = utter(rng, throat, low, [(500.0, 1_300.0, 2_300.0)], jitter=0.05)
    chest *= rng.uniform(0.0, 0.5) * contour(n, [(0, 1), (ends, 0.6), (1, 0.3)])
    fluttering = 0.5 + 0.5 * tone(np.full(n, rng.uniform(14, 30)))
    blow = filter_by(noise(rng, n), band_gain(250, log_uniform(rng, 1_500, 4_500), order=1))
    blow *= fluttering * contour(n, [(0, 0.03), (ends, 0.1), (min(1, ends + 0.1), 1), (1, 0.3)])
    return voice + chest + rng.uniform(0.1, 0.8) * blow
