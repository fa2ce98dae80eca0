"""Birds: the rooster's, duck's and crow's rough voices, the owl's pure hoot, and a songbird.

Each public function makes `count` calls of one bird; the songbird, whose chirps nobody counts, fills a length.
"""

from dataclasses import replace

import numpy as np

from q2a_core.world.sounds.acoustics import (
    BAND_EDGE,
    band_gain,
    contour,
    event_seconds,
    filter_by,
    formant_gain,
    in_sequence,
    log_uniform,
    noise,
    place,
    swell,
    to_samples,
    tone,
    wander,
)
from q2a_core.world.sounds.throat import breaking, draw_throat, utter


def rooster(rng: np.random.Generator, count: int) -> np.ndarray:
    """Crows in one breath: one to three short syllables, then a long one that holds its note and sinks.

    The syllables may be parted by silence, and the voice breaks: clear and hoarse stretches follow one another.
    """
    pitch = log_uniform(rng, 360, 1_000)
    throat = draw_throat(
        rng, tilt_hz=log_uniform(rng, 1_500, 5_000), breath=(0.01, 0.5), roughness=(0, 0.4)
    )
    hoarse = replace(throat, breath=log_uniform(rng, 0.4, 3.0), roughness=rng.uniform(0.3, 1.0))
    shorts, share = int(rng.integers(1, 4)), rng.uniform(0.07, 0.15)
    last, dip, rest = shorts * share, rng.uniform(0.0, 0.35), rng.uniform(0.02, 0.11)
    held, sinking = rng.uniform(0.95, 1.3), rng.uniform(0.7, 1.0)
    breaks = _hoarse_stretch(rng, last)
    wide, half = (1_150.0, 2_500.0, 3_900.0), (950.0, 2_200.0, 3_600.0)
    crows = []
    for seconds in event_seconds(rng, count, 1.1, 2.9):
        n = to_samples(seconds)
        path, loud, sounding = [], [], max(share - rest / seconds, 0.5 * share)
        for start in share * np.arange(shorts):
            top, end = rng.uniform(0.8, 1.2), start + sounding
            path += [(start, 0.8 * top), (start + 0.3 * sounding, top), (end, 0.95 * top)]
            peak = rng.uniform(0.5, 1.0)
            loud += [(start, dip), (start + 0.2 * sounding, peak), (end - 0.2 * sounding, peak)]
            loud.append((end, dip))
        path += [(last, 0.85 * held), (last + 0.06, held), (0.7, held * (0.4 + 0.6 * sinking))]
        path.append((1.0, held * sinking * rng.uniform(0.85, 1.0)))
        loud += [(last, dip), (last + 0.04, 1.0), (0.8, rng.uniform(0.5, 1.0)), (1.0, 0.25)]
        f0 = pitch * contour(n, path)
        clear = utter(rng, throat, f0, [wide, wide, half], jitter_rate=70)
        rough = utter(rng, hoarse, f0, [wide, wide, half], jitter_rate=70)
        crow = breaking(clear, rough, breaks) * contour(n, loud)
        crows.append(crow * swell(n, attack=0.02, release=0.1 * seconds))
    return in_sequence(rng, crows, gap=(0.3, 0.8))


def _hoarse_stretch(rng: np.random.Generator, last: float) -> list[float]:
    """Where a crow's voice breaks into hoarseness and back (0 to 1): some never do, some are hoarse throughout."""
    kind = rng.uniform()
    if kind < 0.3:
        return []
    begins = 0.0 if kind < 0.6 else rng.uniform(0.0, last + 0.2)
    return [begins, rng.uniform(begins + 0.15, 1.2)]


def duck(rng: np.random.Generator, count: int) -> np.ndarray:
    """Quacks: short, nasal and buzzing, sinking and weakening along the row."""
    pitch = log_uniform(rng, 120, 420)
    # a drake's quack is mostly breath
    throat = draw_throat(
        rng, tilt_hz=log_uniform(rng, 1_000, 4_500), breath=(0.03, 3.0), roughness=(0.1, 0.9)
    )
    nose = log_uniform(rng, 650, 2_100)
    fade = rng.uniform(0.8, 1.0)
    quacks = []
    for index, seconds in enumerate(event_seconds(rng, count, 0.1, 0.36)):
        n = to_samples(seconds)
        f0 = pitch * fade**index * contour(n, [(0, 0.9), (0.3, 1.1), (1, rng.uniform(0.7, 0.9))])
        wide, shut = (nose, nose * 1.9, nose * 2.9), (nose * 0.8, nose * 1.6, nose * 2.6)
        quack = utter(rng, throat, f0, [wide, wide, shut], jitter=0.01, jitter_rate=150)
        quack *= fade**index * contour(n, [(0, 0.7), (0.3, 1), (1, 0.4)])
        quacks.append(quack * swell(n, attack=0.015, release=0.35 * seconds))
    return in_sequence(rng, quacks, gap=(0.07, 0.45))


def crow(rng: np.random.Generator, count: int) -> np.ndarray:
    """Caws: hoarse to rattling, some clear enough for their tone to be heard, flat and then falling."""
    pitch = log_uniform(rng, 300, 680)
    throat = draw_throat(
        rng, tilt_hz=log_uniform(rng, 1_800, 3_600), breath=(0.06, 1.6), roughness=(0.1, 1.0)
    )
    broken, crackle = log_uniform(rng, 0.01, 0.06), rng.uniform(0.05, 0.35)
    mouth = log_uniform(rng, 1_100, 2_200)
    chest_hz = mouth * rng.uniform(0.1, 0.8)
    caws = []
    for seconds in event_seconds(rng, count, 0.2, 0.7):
        n = to_samples(seconds)
        f0 = pitch * contour(n, [(0, 0.8), (0.15, 1), (0.6, 0.97), (1, rng.uniform(0.65, 0.85))])
        wide, shut = (mouth, mouth * 1.75, mouth * 2.6), (mouth * 0.8, mouth * 1.5, mouth * 2.3)
        caw = utter(rng, throat, f0, [wide, wide, shut], jitter=broken, jitter_rate=260)
        # the pulses of a caw break: its loudness crackles.
        caw *= (1 + crackle * wander(rng, n, 120)) * contour(
            n, [(0, 0.6), (0.2, 1), (0.8, 0.8), (1, 0.5)]
        )
        # little of a far crow's chest is heard
        caw = filter_by(caw, band_gain(chest_hz, BAND_EDGE, order=2))
        caws.append(caw * swell(n, attack=0.02, release=0.08))
    return in_sequence(rng, caws, gap=(0.18, 0.7))


def owl(rng: np.random.Generator, count: int) -> np.ndarray:
    """Hoots: an almost pure, soft tone, low in large owls, falling at the end; some with a quaver."""
    pitch = log_uniform(rng, 200, 1_000)
    quaver = rng.uniform(0.1, 0.35) if rng.uniform() < 0.35 else 0.0
    overtones = [(n, log_uniform(rng, 0.01, 0.15) / (n - 1)) for n in range(2, 5)]
    breath, falls = log_uniform(rng, 0.005, 0.2), rng.uniform(0.75, 1.0)
    arch = rng.uniform(1.0, 1.25)
    hoots = []
    for seconds in event_seconds(rng, count, 0.2, 1.8):
        n = to_samples(seconds)
        shaking = tone(np.full(n, rng.uniform(8, 13)))
        f0 = pitch * contour(
            n, [(0, rng.uniform(0.88, 1)), (0.25, 1.02), (0.5, arch), (0.75, 1), (1, falls)]
        )
        f0 *= 1 + 0.05 * quaver * shaking
        hoot = tone(f0)
        for harmonic, weight in overtones:
            hoot += weight * tone(harmonic * f0)
        whisper = formant_gain([pitch, 3 * pitch], sharpness=2, tilt_hz=1_500)
        hoot += 3 * filter_by(breath * noise(rng, n), whisper)
        hoot *= 1 - quaver * (0.5 + 0.5 * shaking)
        hoot *= contour(n, [(0, 0.3), (rng.uniform(0.2, 0.7), 1), (0.8, 0.8), (1, 0.4)])
        hoots.append(hoot * swell(n, attack=min(0.12, 0.3 * seconds), release=0.35 * seconds))
    return in_sequence(rng, hoots, gap=(0.17, 0.7))


def bird(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Song: high whistled syllables, each repeated a few times before the next; now and then a trill or a rattle."""
    centre = log_uniform(rng, 1_600, 5_400)
    lively = rng.uniform(0.4, 1.8)
    rich = rng.uniform(0.1, 0.9) if rng.uniform() < 0.35 else 0.0
    # some say one thing again and again, others what comes to them
    most = 14 if rng.uniform() < 0.25 else 6
    pieces, at = [], 0
    while at < samples:
        seconds = log_uniform(rng, 0.04, 0.3)
        n = to_samples(seconds)
        low, high = centre * rng.uniform(0.65, 1.0), min(7_000.0, centre * rng.uniform(1.0, 1.45))
        path = rng.permutation([low, high, rng.uniform(low, high)])
        f0 = contour(n, [(0, path[0]), (rng.uniform(0.2, 0.8), path[1]), (1, path[2])])
        if rng.uniform() < 0.25:
            f0 = f0 * (1 + rng.uniform(0.03, 0.12) * tone(np.full(n, rng.uniform(25, 60))))
        chirp = tone(f0) + rng.uniform(0, 0.12) * tone(np.minimum(2 * f0, 7_800))
        for harmonic in (2, 3, 4) if rich else ():
            if harmonic * f0.max() < BAND_EDGE:
                chirp += rich * rng.uniform(0.2, 1.0) * tone(harmonic * f0)
        if rng.uniform() < 0.1:  # the rattle of one that is alarmed
            chirp = filter_by(noise(rng, n), band_gain(0.75 * centre, 1.5 * centre, order=2))
            chirp *= 0.5 + 0.5 * tone(np.full(n, rng.uniform(30, 110)))
        chirp *= swell(n, attack=0.3 * seconds, release=0.4 * seconds) * rng.uniform(0.4, 1.0)
        rest = log_uniform(rng, 0.02, 0.12)
        for _ in range(rng.integers(1, most)):
            pieces.append((at, chirp))
            at += n + to_samples(rest)
        at += to_samples(lively * log_uniform(rng, 0.04, 0.5))
    return place(samples, pieces)
