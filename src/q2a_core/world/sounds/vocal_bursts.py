"""Sounds that burst out of a throat: cough, throat clearing and sneeze.

All three close the glottis or the palate, build up pressure and let it go: a hard front, turbulence, and a remnant
of voice.
"""

import numpy as np

from q2a_core.world.sounds.acoustics import (
    band_gain,
    contour,
    decay,
    event_seconds,
    filter_by,
    in_sequence,
    log_uniform,
    noise,
    place,
    swell,
    to_samples,
    tone,
    wander,
)
from q2a_core.world.sounds.vocal_breaths import draw_in
from q2a_core.world.sounds.vocal_tract import (
    Speaker,
    draw_speaker,
    draw_vowel,
    mix_vowels,
    unit,
    vocalise,
)


def cough(rng: np.random.Generator, count: int) -> np.ndarray:
    """Coughs: an explosion of breath and torn voice, a noisy outflow, and often a short voiced end."""
    speaker = draw_speaker(rng)
    wet = rng.uniform(0.2, 0.8) if rng.uniform() < 0.4 else 0.0
    voiced = rng.uniform() < 0.6
    torn = log_uniform(rng, 0.15, 1.6)
    vowel = draw_vowel(rng, ["a", "uh", "er", "ae", "oh"])
    pitch = speaker.pitch * log_uniform(rng, 1.2, 2.6)
    hiss = log_uniform(rng, 0.1, 0.7)
    coughs = []
    for index, seconds in enumerate(event_seconds(rng, count, 0.22, 0.55)):
        n = to_samples(seconds)
        blast = rng.uniform(0.1, 0.22)
        outflow = rng.uniform(0.12, 0.35)
        front = [(0, 0.6), (0.03, 1), (blast, rng.uniform(0.4, 0.8)), (blast + 0.12, outflow)]
        flow = contour(n, [*front, (0.7, 0.6 * outflow), (1, 0.03)])
        flow *= np.exp(0.25 * wander(rng, n, 40))
        if wet:
            rattle = 0.5 + 0.5 * tone(rng.uniform(25, 70) * (1 + 0.2 * wander(rng, n, 30)))
            flow *= 1 - wet * rattle * contour(n, [(0, 0.3), (0.3, 1), (1, 1)])
        chord = torn * contour(n, [(0, 0.3), (0.05, 1), (blast + 0.12, 0.15), (1, 0)])
        if voiced:
            back = rng.uniform(0.5, 0.68)
            end = rng.uniform(0.15, 0.45)
            chord += contour(n, [(0, 0), (back - 0.15, 0), (back, end), (0.85, 0.6 * end), (1, 0)])
        drop = rng.uniform(0.5, 0.8)
        sound = vocalise(
            rng,
            speaker,
            [vowel, mix_vowels("uh", "er", rng.uniform(0, 1))],
            f0=pitch * contour(n, [(0, 0.8), (0.06, 1), (0.5, 0.85), (1, drop)]),
            voicing=chord * (0.3 + flow),
            breathing=0.8 * flow,
            roughness=rng.uniform(0.1, 0.9),
            jitter=rng.uniform(0.03, 0.1),
            damping=rng.uniform(1.2, 2.2),
        )
        rush = filter_by(
            noise(rng, n) * flow, band_gain(1_800, rng.uniform(4_500, 8_000), order=1.5)
        )
        sound = unit(sound) + hiss * unit(rush) + 0.4 * _thump(rng, speaker, n)
        attack = log_uniform(rng, 0.002, 0.012)
        sound = unit(sound * swell(n, attack=attack, release=0.3 * seconds))
        coughs.append(sound * rng.uniform(0.6, 1.0) * 0.95**index)
    row = in_sequence(rng, coughs, gap=(0.1, 0.6))
    if rng.uniform() < 0.2:
        return _after_breath(rng, speaker, row, level=(0.03, 0.12), gap=0.1)
    return row


def throat_clearing(rng: np.random.Generator) -> np.ndarray:
    """Throat clearing: one to three low grunts that rasp and scrape, the last often hummed with the lips closed."""
    speaker = draw_speaker(rng)
    grunts = int(rng.choice([1, 2, 3], p=[0.25, 0.55, 0.2]))
    pitch = speaker.pitch * log_uniform(rng, 0.55, 1.2)
    rasp = log_uniform(rng, 22, 75)
    deep = rng.uniform(0.4, 0.95)
    scrape = log_uniform(rng, 0.12, 0.9)
    closed = rng.uniform() < 0.6
    first = "hm" if closed and rng.uniform() < 0.5 else "er"
    pieces = []
    for index in range(grunts):
        last = index == grunts - 1
        seconds = log_uniform(rng, 0.25, 0.75) if last else log_uniform(rng, 0.12, 0.4)
        n = to_samples(seconds)
        shaking = tone(rasp * (1 + 0.15 * wander(rng, n, 40)), start=rng.uniform())
        # the false folds flap: short shut, long open.
        flaps = 1 - deep * np.maximum(shaking, 0) * contour(n, [(0, 1), (0.6, 0.9), (1, 0.5)])
        arch = contour(n, [(0, 0.35), (rng.uniform(0.12, 0.4), 1), (0.7, 0.7), (1, 0.15)]) * flaps
        end = mix_vowels("er", "hm", 0.9) if last and closed else mix_vowels("er", "uh", 0.5)
        back = rng.uniform(0.6, 0.9)
        sound = vocalise(
            rng,
            speaker,
            [mix_vowels(first, "uh", 0.4), mix_vowels("er", "oh", rng.uniform(0, 1)), end],
            f0=pitch * contour(n, [(0, 0.85), (0.3, rng.uniform(1, 1.25)), (1, back)]),
            voicing=arch,
            breathing=arch * rng.uniform(0.05, 0.5),
            roughness=rng.uniform(0.4, 1.0),
            jitter=rng.uniform(0.03, 0.09),
            damping=rng.uniform(1.0, 1.8),
        )
        # friction at the back of the tongue, a rough "ch" as in "loch".
        back_hiss = band_gain(rng.uniform(900, 1_500), rng.uniform(2_200, 4_500), order=2)
        friction = filter_by(noise(rng, n) * arch, back_hiss)
        sound = unit(sound) + scrape * unit(friction)
        attack = min(rng.uniform(0.01, 0.05), 0.3 * seconds)
        sound = unit(sound * swell(n, attack=attack, release=0.25 * seconds))
        pieces.append(sound * (1.0 if last else rng.uniform(0.4, 1.0)))
    row = in_sequence(rng, pieces, gap=(0.03, 0.25))
    if rng.uniform() < 0.25:
        return _after_breath(rng, speaker, row, level=(0.04, 0.15), gap=0.15)
    return row


def sneeze(rng: np.random.Generator, count: int) -> np.ndarray:
    """Sneezes: one or more breaths drawn in, then an explosion that hisses and may end in a voiced "oo"."""
    speaker = draw_speaker(rng)
    palate = log_uniform(rng, 1_800, 3_600) / speaker.length
    top = rng.uniform(5_000, 8_000)
    voiced = rng.uniform() < 0.65
    ends = "oo" if rng.uniform() < 0.6 else "uh"
    calls = rng.uniform() < 0.55
    pitch = speaker.pitch * log_uniform(rng, 1.2, 2.4)
    sneezes = []
    for seconds in event_seconds(rng, count, 0.16, 0.65):
        n = to_samples(seconds)
        hold = rng.uniform(0.15, 0.4)
        flow = contour(n, [(0, 0.5), (0.04, 1), (hold, 0.6), (hold + 0.25, 0.15), (1, 0.01)])
        flow *= np.exp(0.15 * wander(rng, n, 40))
        burst = filter_by(noise(rng, n) * flow, band_gain(palate, top, order=rng.uniform(1, 2.5)))
        tail = np.zeros(n, dtype=np.float32)
        if voiced:
            begin = rng.uniform(0.03, hold)
            strong = rng.uniform(0.2, 1.4)
            knots = [(0, 0.1), (begin, 0.2), (begin + 0.12, 1), (0.75, 0.4), (1, 0)]
            tail = strong * contour(n, knots)
        drop = rng.uniform(0.3, 0.7)
        sound = vocalise(
            rng,
            speaker,
            [mix_vowels("ae", "ee", rng.uniform(0, 0.7)), mix_vowels("er", ends, 0.8)],
            f0=pitch * contour(n, [(0, 0.9), (0.15, rng.uniform(1, 1.6)), (1, drop)]),
            voicing=tail,
            breathing=flow,
            roughness=rng.uniform(0, 0.5),
            jitter=0.02,
            damping=1.5,
        )
        sound = unit(sound) + rng.uniform(0.7, 2.6) * unit(burst) + 0.3 * _thump(rng, speaker, n)
        sound = unit(sound * swell(n, attack=log_uniform(rng, 0.002, 0.012), release=0.3 * seconds))
        sneezes.append(sound * rng.uniform(0.7, 1.0))
    room = (3.9 - sum(map(len, sneezes)) / 16_000) / count
    rows = []
    for sound in sneezes:
        breaths = int(rng.choice([0, 1, 2], p=[0.4, 0.45, 0.15]))
        if count > 1:
            breaths = min(breaths, 1)
        for _ in range(breaths):
            long = min(log_uniform(rng, 0.2, 0.7), 0.55 * room / breaths)
            sound = _after_breath(
                rng, speaker, sound, level=(0.03, 0.16), gap=0.08, seconds=long, voiced=calls
            )
        rows.append(sound)
    return in_sequence(rng, rows, gap=(0.08, 0.4))


def _thump(rng: np.random.Generator, speaker: Speaker, samples: int) -> np.ndarray:
    """The low blow of air when a closure breaks, gone within 60 ms."""
    blow = noise(rng, samples) * decay(samples, seconds=rng.uniform(0.02, 0.06))
    return unit(filter_by(blow, band_gain(120, rng.uniform(500, 1_200) / speaker.length, order=1)))


def _after_breath(
    rng: np.random.Generator,
    speaker: Speaker,
    sound: np.ndarray,
    *,
    level: tuple[float, float],
    gap: float,
    seconds: float = 0.35,
    voiced: bool = False,
) -> np.ndarray:
    """`sound` after a breath drawn in of `seconds`, held for up to `gap`; it may catch the voice: "ah"."""
    breath = draw_in(rng, speaker, seconds)
    n = len(breath)
    if voiced:
        gasp = vocalise(
            rng,
            speaker,
            [mix_vowels("a", "er", rng.uniform(0, 1))],
            f0=speaker.pitch * contour(n, [(0, 1.1), (1, rng.uniform(1.2, 1.8))]),
            voicing=contour(n, [(0, 0), (0.5, 1), (0.9, 0.6), (1, 0)]),
            breathing=np.zeros(n, dtype=np.float32),
            jitter=0.02,
        )
        breath = breath + rng.uniform(0.3, 1.2) * unit(gasp)
    start = n + to_samples(rng.uniform(0.02, gap))
    return place(start + len(sound), [(0, breath * log_uniform(rng, *level)), (start, sound)])
