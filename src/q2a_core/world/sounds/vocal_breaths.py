"""Sounds made of breath: the sigh and the sniff, and the breath drawn in that other vocal sounds begin with."""

import numpy as np

from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds.acoustics import (
    band_gain,
    contour,
    decay,
    event_seconds,
    filter_by,
    filter_each,
    in_sequence,
    log_uniform,
    noise,
    place,
    swell,
    to_samples,
    wander,
)
from q2a_core.world.sounds.vocal_tract import (
    VOWELS,
    Speaker,
    draw_speaker,
    draw_vowel,
    mix_vowels,
    unit,
    vocalise,
)


def draw_in(
    rng: np.random.Generator, speaker: Speaker, seconds: float, *, through_nose: bool = False
) -> np.ndarray:
    """Air drawn in: soft noise that swells and gets brighter, at a peak of 1; through the mouth if not the nose."""
    n = to_samples(seconds)
    shape = mix_vowels("er", "eh" if rng.uniform() < 0.5 else "oh", rng.uniform(0, 0.8))
    air = vocalise(
        rng,
        speaker,
        [VOWELS["hm"] if through_nose else shape, mix_vowels("er", "ae", rng.uniform(0, 1))],
        f0=np.full(n, speaker.pitch),
        voicing=np.zeros(n, dtype=np.float32),
        breathing=contour(n, [(0, 0.15), (rng.uniform(0.4, 0.85), 1), (1, 0.3)]),
        damping=rng.uniform(1.5, 3.5),
    )
    # inhaling, the turbulence sits at the narrow glottis and the lips: less of the low resonance is heard.
    air = filter_by(air, band_gain(rng.uniform(300, 900), rng.uniform(4_000, 8_000), order=1))
    return unit(air * swell(n, attack=0.3 * seconds, release=min(0.12, 0.3 * seconds)))


def sigh(rng: np.random.Generator) -> np.ndarray:
    """A sigh: often a breath drawn in, then a long one let out that sinks in loudness, with or without voice."""
    speaker = draw_speaker(rng)
    nose = rng.uniform() < 0.2
    voiced = not nose and rng.uniform() < 0.5
    seconds = log_uniform(rng, 0.7, 2.2)
    n = to_samples(seconds)
    loudest = rng.uniform(0.06, 0.3)
    fade = rng.uniform(0.02, 0.12)
    flow = contour(n, [(0, 0.1), (loudest, 1), (rng.uniform(0.5, 0.7), 0.35), (1, fade)])
    flow *= np.exp(rng.uniform(0.03, 0.2) * wander(rng, n, rng.uniform(8, 25)))
    top = speaker.pitch * log_uniform(rng, 0.95, 1.8)
    late = rng.uniform(0.3, 0.6)
    end = speaker.pitch * rng.uniform(0.6, 0.85)
    f0 = contour(n, [(0, top * 0.95), (loudest, top), (late, (top * end) ** 0.5), (1, end)])
    # the voice sets in after the breath and dies before it.
    share = rng.uniform(0.4, 2.5) if voiced else 0.0
    begin = rng.uniform(0.02, 0.2)
    tune = share * contour(n, [(0, 0), (begin, 0.2), (begin + 0.12, 1), (late + 0.3, 0.5), (1, 0)])
    opening = draw_vowel(rng, ["a", "uh", "er", "ae", "eh"])
    closing = draw_vowel(rng, ["uh", "er", "oh", "oo", "hm"])
    out = vocalise(
        rng,
        speaker,
        [VOWELS["hm"], mix_vowels("hm", "er", 0.3)] if nose else [opening, opening, closing],
        f0=f0,
        voicing=flow * tune,
        breathing=flow * rng.uniform(0.4, 1.0),
        roughness=rng.uniform(0, 0.4),
        jitter=0.015,
        damping=1.3 if voiced else rng.uniform(1.5, 3.0),
    )
    # the mouth's own hiss: a narrow jaw adds brightness, and it goes as the flow sinks.
    bright = filter_by(
        noise(rng, n) * flow**2, band_gain(2_500, rng.uniform(4_000, 7_500), order=2)
    )
    out = unit(out) + rng.uniform(0.02, 0.3) * unit(bright)
    out = unit(out * swell(n, attack=rng.uniform(0.03, 0.15), release=0.3 * seconds))
    if rng.uniform() < 0.3:
        return out
    breath = draw_in(rng, speaker, log_uniform(rng, 0.3, 1.1), through_nose=rng.uniform() < 0.4)
    start = len(breath) + to_samples(log_uniform(rng, 0.02, 0.25))
    return place(start + n, [(0, breath * log_uniform(rng, 0.1, 0.6)), (start, out)])


def sniff(rng: np.random.Generator, count: int) -> np.ndarray:
    """Sniffs: short breaths drawn in through the nose, each brighter towards its end; a wet nose crackles."""
    speaker = draw_speaker(rng)
    wet = rng.uniform(0.3, 1.0) if rng.uniform() < 0.45 else 0.0
    low = log_uniform(rng, 500, 1_100) / speaker.length
    middle = log_uniform(rng, 1_600, 2_800) / speaker.length
    high = log_uniform(rng, 4_000, 7_000)
    sharp = rng.uniform(0.35, 0.85)
    sniffs = []
    for seconds in event_seconds(rng, count, 0.14, 0.6):
        n = to_samples(seconds)
        air = noise(rng, n)
        if wet:
            air = air * (1 - wet + wet * _crackle(rng, n))
        dull, clear, hiss = filter_each(
            air,
            [
                band_gain(low, 1.6 * middle, order=1.5),
                band_gain(middle, high, order=2),
                band_gain(0.6 * high, 7_600, order=2),
            ],
        )
        rise = contour(n, [(0, 0), (0.2, 0.1), (rng.uniform(0.75, 0.95), 1), (1, 1)])
        sound = 0.9 * dull * (1 - 0.85 * rise) + clear * (0.15 + 0.85 * rise)
        sound += hiss * rise**2 * rng.uniform(0.5, 1.5)
        sound *= contour(n, [(0, 0.15), (sharp, 1), (1, rng.uniform(0.3, 0.7))])
        sound *= np.exp(0.2 * wander(rng, n, 30))
        stop = min(rng.uniform(0.01, 0.08), 0.3 * seconds)
        sound *= swell(n, attack=min(0.06, 0.4 * seconds), release=stop)
        sniffs.append(unit(sound) * rng.uniform(0.65, 1.0))
    return in_sequence(rng, sniffs, gap=(0.16, 0.7))


def _crackle(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Level of air that bubbles through a wet passage: short bursts at uneven times, 25 to 90 a second."""
    rate = log_uniform(rng, 25, 90)
    times = np.cumsum(rng.exponential(1 / rate, max(2, int(2 * rate * samples / SAMPLE_RATE))))
    hits = np.zeros(samples, dtype=np.float32)
    at = (times * SAMPLE_RATE).astype(int)
    hits[at[at < samples]] = rng.uniform(0.3, 1.0, int((at < samples).sum()))
    burst = decay(to_samples(0.02), seconds=0.02)
    return np.convolve(hits, burst)[:samples].astype(np.float32) * 1.5
