"""Weather, machines and things that knock, tick and break.

`knocking` makes `count` knocks; all others fill a length given in samples.
"""

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds.acoustics import (
    band_gain,
    contour,
    cycles,
    decay,
    filter_by,
    formant_gain,
    log_uniform,
    noise,
    place,
    pulses,
    ring,
    swell,
    to_samples,
    tone,
    wander,
)


def _click(
    rng: np.random.Generator,
    modes: list[tuple[float, float, float]],
    *,
    seconds: float,
    hiss: float,
) -> np.ndarray:
    """One short blow on a body with `modes`; `hiss` is the share of unpitched contact noise."""
    n = to_samples(seconds)
    blow = noise(rng, n) * decay(n, seconds=seconds * 0.12)
    struck = ring(blow, modes)
    struck /= np.abs(struck).max() + 1e-9
    return (1 - hiss) * struck + hiss * blow / np.abs(blow).max()


def engine(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Motor of a car or a lorry: uneven firing pulses through an exhaust, idling or revved."""
    idle = log_uniform(rng, 18, 55)
    revved = rng.uniform() < 0.5
    top = rng.uniform(1.5, 3.5) if revved else rng.uniform(0.95, 1.05)
    rate = idle * contour(
        samples,
        [
            (0, 1),
            (rng.uniform(0.2, 0.5), top),
            (rng.uniform(0.6, 0.9), top),
            (1, rng.uniform(0.8, 1.2)),
        ],
    )
    rate *= 1 + 0.015 * wander(rng, samples, 12)
    fired = cycles(rate)
    cylinders = int(rng.choice([3, 4, 6]))
    strength = rng.uniform(0.6, 1.0, cylinders)[(fired % cylinders).astype(int)]
    burst = np.exp(-rng.uniform(3, 7) * (fired % 1.0)).astype(np.float32)
    source = pulses(rate) * strength + 0.8 * burst * strength * noise(rng, samples)
    exhaust = formant_gain(
        [log_uniform(rng, 60, 130), log_uniform(rng, 160, 350), log_uniform(rng, 500, 1_200)],
        sharpness=2,
        tilt_hz=log_uniform(rng, 200, 1_600),
        order=1.2,
    )
    body = filter_by(source, exhaust)
    rattle = filter_by(
        noise(rng, samples) * (0.5 + burst), band_gain(500, 4_000, order=1)
    ) * log_uniform(rng, 0.02, 0.7)
    return body / (body.std() + 1e-9) + rattle


def rain(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Rain: the hiss of far drops, bright or dull, near ones that tap on what they fall on, and wind now and then."""
    near = band_gain(log_uniform(rng, 30, 1_200), log_uniform(rng, 2_500, 9_000), order=1)
    dull = rng.uniform(0.0, 0.75)
    hiss = filter_by(
        noise(rng, samples), lambda f: near(f) * (np.maximum(f, 40.0) / 1_000.0) ** -dull
    )
    hiss *= 1 + rng.uniform(0.03, 0.15) * wander(rng, samples, 3)
    taps = np.zeros(samples, dtype=np.float32)
    rate = log_uniform(rng, 25, 400) * samples / SAMPLE_RATE
    for _ in range(4):  # leaves, panes, puddles
        number = rng.poisson(rate / 4)
        drops = np.zeros(samples, dtype=np.float32)
        drops[rng.integers(0, samples, number)] = rng.exponential(1.0, number)
        surface = [(log_uniform(rng, 500, 7_000), log_uniform(rng, 0.001, 0.015), 1.0)] * 2
        taps += ring(drops, surface) + rng.uniform(0.0, 0.5) * drops
    rained = hiss / (hiss.std() + 1e-9) + rng.uniform(0.2, 1.2) * taps / (taps.std() + 1e-9)
    if rng.uniform() < 0.25:
        wind = filter_by(noise(rng, samples), band_gain(20, log_uniform(rng, 60, 300), order=1.5))
        rained += log_uniform(rng, 0.2, 1.5) * wind / (wind.std() + 1e-9)
    return rained


def thunder(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Thunder: a crack, near or far, then a rumble that rolls and sinks away."""
    edge = log_uniform(rng, 70, 250)
    rumble = filter_by(noise(rng, samples), band_gain(25, edge, order=1.5))
    rumble /= rumble.std() + 1e-9
    rolling = np.exp(0.8 * wander(rng, samples, rng.uniform(2.5, 6.0)))
    sinking = contour(samples, [(0, 0.25), (rng.uniform(0.05, 0.25), 1), (0.6, 0.45), (1, 0.06)])
    far = rng.uniform(0.0, 1.0)
    # overhead it tears for as long as it rolls, and as bright as rain
    overhead = rng.uniform() < 0.25
    bright = log_uniform(rng, 2_000, 7_500) if overhead else log_uniform(rng, 800, 4_000)
    lasting = rng.uniform(0.2, 0.7) if overhead else 0.15
    far *= 0.3 if overhead else 1.0
    crackle = filter_by(noise(rng, samples), band_gain(120, bright, order=1))
    tearing = np.exp(1.2 * wander(rng, samples, 40)) * contour(
        samples, [(0, 0.4), (0.06, 1), (0.3, lasting), (1, 0.1 * lasting)]
    )
    crackle *= tearing / (crackle.std() + 1e-9)
    mixed = rumble * rolling * sinking + 0.5 * (1 - far) * crackle
    return mixed * swell(
        samples, attack=rng.uniform(0.005, 0.15), release=0.15 * samples / SAMPLE_RATE
    )


def keyboard(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Typing: irregular bursts of clicks, each a press and a weaker release, on plastic over a table."""
    bright = log_uniform(rng, 1_800, 4_500)
    thump = log_uniform(rng, 150, 450)
    heft, hiss = rng.uniform(0.1, 0.7), rng.uniform(0.3, 0.8)
    keys = []
    for _ in range(5):
        modes = [(bright * rng.uniform(0.7, 1.4), rng.uniform(0.008, 0.025), 1.0) for _ in range(3)]
        keys.append(
            _click(
                rng, [*modes, (thump * rng.uniform(0.8, 1.2), 0.05, heft)], seconds=0.06, hiss=hiss
            )
        )
    pace = log_uniform(rng, 0.09, 0.24)
    pieces, at = [], 0
    while at < samples:
        loud = rng.uniform(0.45, 1.0)
        pieces.append((at, loud * keys[rng.integers(5)]))
        release = at + to_samples(rng.uniform(0.05, 0.12))
        pieces.append((release, loud * rng.uniform(0.2, 0.6) * keys[rng.integers(5)]))
        pause = rng.uniform(1.5, 4.0) if rng.uniform() < 0.1 else 1.0
        at += to_samples(pace * pause * np.exp(0.45 * rng.standard_normal()))
    return place(samples, pieces)


def knocking(rng: np.random.Generator, count: int) -> np.ndarray:
    """Knuckles on a wooden door: dull, short blows."""
    panel = log_uniform(rng, 95, 600)
    damping = log_uniform(rng, 0.03, 0.16)
    ratios = (1.0, rng.uniform(1.5, 1.9), rng.uniform(2.3, 3.2), rng.uniform(3.8, 5.5))
    weights = (1.0, rng.uniform(0.4, 1.0), rng.uniform(0.2, 0.7), rng.uniform(0.1, 0.4))
    hiss = rng.uniform(0.03, 0.45)
    spacing = log_uniform(rng, 0.17, 0.5)
    pieces = []
    for index in range(count):
        modes = [
            (panel * r * rng.uniform(0.98, 1.02), damping / r**0.4, w)
            for r, w in zip(ratios, weights, strict=True)
        ]
        at = to_samples(max(0.0, index * spacing + rng.uniform(-0.02, 0.02) * (index > 0))) - (
            index == 0
        )
        pieces.append((at, rng.uniform(0.7, 1.0) * _click(rng, modes, seconds=0.2, hiss=hiss)))
    return place(pieces[-1][0] + to_samples(0.2), pieces)


def clock(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Ticking: one dry tick after another, strictly in time, tick and tock in turn; the case or the room may ring."""
    seconds = samples / SAMPLE_RATE
    # every second, or quicker; three ticks at least: with fewer nobody can hear that it is regular
    spacing = rng.uniform(0.93, 1.05) if rng.uniform() < 0.4 else log_uniform(rng, 0.1, 1.0)
    spacing = min(spacing, seconds / 3.2)
    works, tock = log_uniform(rng, 700, 4_500), rng.uniform(0.75, 1.0)
    # the wheel falls onto the pallet, then the teeth lock
    falls = np.cumsum([0.0, *rng.uniform(0.004, 0.05, int(rng.integers(0, 3)))])
    strengths = rng.uniform(0.3, 1.0, len(falls))
    hiss, ringing = rng.uniform(0.02, 0.7), log_uniform(rng, 0.004, 0.05)
    body = band_gain(log_uniform(rng, 60, 600), log_uniform(rng, 2_500, 16_000), order=1)
    echo = log_uniform(rng, 0.004, 0.09) if rng.uniform() < 0.55 else 0.0
    n = to_samples(min(0.5, max(spacing, 0.15)))
    faded = noise(rng, n) * decay(n, seconds=log_uniform(rng, 0.08, 0.6))
    sides = []
    for pitch in (works, works * tock):
        modes = [
            (pitch * ratio, ringing * rng.uniform(0.6, 1.2), weight)
            for ratio, weight in ((1.0, 1.0), (1.47, 0.6), (2.1, 0.4))
        ]
        modes.append((log_uniform(rng, 300, 900), 0.03, rng.uniform(0.0, 0.6)))
        clicks = [
            (to_samples(at) - 1, strength * _click(rng, modes, seconds=0.08, hiss=hiss))
            for at, strength in zip(falls, strengths, strict=True)
        ]
        sides.append(filter_by(place(n, clicks) + echo * faded, body))
    quieter = rng.uniform(0.5, 1.0)
    starts = np.arange(rng.uniform(0.0, 0.5 * spacing), seconds, spacing)
    swing = rng.uniform(0.0, 0.04) * spacing
    pieces = [
        (
            to_samples(start + swing * (index % 2)),
            sides[index % 2] * (1.0 if index % 2 == 0 else quieter),
        )
        for index, start in enumerate(starts)
    ]
    return place(samples, pieces)


def drill(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Electric drill: a whine of motor and gears with brush noise, spun up and loaded."""
    seconds = samples / SAMPLE_RATE
    motor = log_uniform(rng, 110, 480)
    up, down = (
        min(0.3, rng.uniform(0.05, 0.25) / seconds),
        1 - min(0.3, rng.uniform(0.05, 0.25) / seconds),
    )
    load = rng.uniform(0.75, 1.0)
    speed = contour(
        samples, [(0, 0.35), (up, 1), (0.5, load), (down, rng.uniform(0.85, 1.05)), (1, 0.4)]
    )
    rate = motor * speed * (1 + 0.012 * wander(rng, samples, 15))
    gears = formant_gain(
        [
            log_uniform(rng, 500, 1_000),
            log_uniform(rng, 1_300, 2_400),
            log_uniform(rng, 2_800, 5_500),
        ],
        sharpness=2.5,
        tilt_hz=log_uniform(rng, 2_000, 5_500),
    )
    whine = filter_by(pulses(rate, subharmonic=rng.uniform(0.1, 0.6)), gears)
    gear = tone(np.minimum(rate * int(rng.integers(5, 12)), 7_000)) * rng.uniform(0.1, 0.5)
    brushes = filter_by(noise(rng, samples), band_gain(1_200, 7_000, order=1)) * rng.uniform(
        0.15, 0.6
    )
    sound = (whine / (whine.std() + 1e-9) + gear + brushes) * (0.4 + 0.6 * speed)
    if rng.uniform() < 0.3:
        hammer = rng.uniform(25, 50) * speed
        sound *= 0.4 + 1.2 * np.exp(-4 * (cycles(hammer) % 1.0)).astype(np.float32)
    return sound * swell(samples, attack=0.03, release=0.06)


def glass(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Breaking glass: one crash of noise and high partials, then splinters that tinkle ever more rarely."""
    seconds = samples / SAMPLE_RATE
    base = log_uniform(rng, 1_800, 4_000)
    crash_n = min(samples, to_samples(rng.uniform(0.25, 0.6)))
    crash = filter_by(noise(rng, crash_n), band_gain(900, 7_800, order=1)) * decay(
        crash_n, seconds=rng.uniform(0.15, 0.5)
    )
    crash *= np.exp(0.6 * wander(rng, crash_n, 120))
    blow = np.zeros(samples, dtype=np.float32)
    blow[0] = rng.uniform(6, 14)
    number = int(rng.integers(12, 45))
    when = np.minimum(rng.exponential(seconds * rng.uniform(0.12, 0.3), number), 0.97 * seconds)
    blow[(when * SAMPLE_RATE).astype(int)] += rng.exponential(3.0, number) * np.exp(
        -1.5 * when / seconds
    )
    splinters = np.zeros(samples, dtype=np.float32)
    owner = rng.integers(0, 3, samples)
    for pane in range(3):
        modes = [
            (
                min(7_400.0, base * rng.uniform(0.7, 3.2)),
                log_uniform(rng, 0.06, 0.35),
                rng.uniform(0.3, 1),
            )
            for _ in range(4)
        ]
        splinters += ring(np.where((owner == pane) | (np.arange(samples) == 0), blow, 0), modes)
    mixed = splinters / (np.abs(splinters).max() + 1e-9)
    mixed[:crash_n] += rng.uniform(0.4, 1.0) * crash / (np.abs(crash).max() + 1e-9)
    return mixed * swell(samples, attack=0.0005, release=0.1 * seconds)
