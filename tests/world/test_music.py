"""Tunes: reproducible, and a program that does not know tempo, metre, mode and instrument can hear them."""

from dataclasses import replace

import numpy as np
import pytest

from q2a_core.errors import Q2AError
from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.sounds import PEAK
from q2a_core.world.sounds.instruments import INSTRUMENTS
from q2a_core.world.sounds.music import (
    TEMPOS,
    TUNE_INSTRUMENTS,
    Tune,
    mood_of,
    plan_tune,
    synthesise_tune,
    tempo_class,
)
from q2a_core.world.sounds.music_score import SCALES, compose


def tune(instrument: str, seed: int, *, tempo=110, mode: str | None = "major", metre=4) -> Tune:
    mode = None if instrument == "drums" else mode
    return Tune(
        instrument=instrument,
        tempo_bpm=tempo,
        mode=mode,
        metre=metre,
        mood=mood_of(mode, tempo),
        seed=seed,
    )


def test_plans_cover_every_class_and_follow_the_mood_rule():
    tunes = [plan_tune(np.random.default_rng(seed)) for seed in range(400)]
    assert {t.instrument for t in tunes} == set(TUNE_INSTRUMENTS)
    assert {t.mood for t in tunes} == {"happy", "calm", "sad", "tense", None}
    assert {t.metre for t in tunes} == {3, 4}
    for t in tunes:
        low, high = TEMPOS[tempo_class(t.tempo_bpm)]
        assert low <= t.tempo_bpm <= high
        assert t.mood == mood_of(t.mode, t.tempo_bpm)
        assert (t.mode is None) == (t.instrument == "drums")
    assert plan_tune(np.random.default_rng(3)) == plan_tune(np.random.default_rng(3))


def test_moods():
    assert [mood_of("major", bpm) for bpm in (60, 110, 160)] == ["calm", "happy", "happy"]
    assert [mood_of("minor", bpm) for bpm in (60, 110, 160)] == ["sad", "tense", "tense"]
    assert mood_of(None, 60) is None


@pytest.mark.parametrize("instrument", TUNE_INSTRUMENTS)
def test_reproducible_bounded_and_without_clicks_at_the_ends(instrument):
    for seed in range(4):
        planned = tune(instrument, seed, mode=("major", "minor")[seed % 2], metre=3 + seed % 2)
        samples = synthesise_tune(planned, seconds=2.3)
        assert samples.shape == (round(2.3 * SAMPLE_RATE),)
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() == pytest.approx(PEAK, abs=1e-3)
        assert np.abs(samples[[0, -1]]).max() < 0.01
        assert np.array_equal(samples, synthesise_tune(planned, seconds=2.3))
        other = synthesise_tune(replace(planned, seed=seed + 100), seconds=2.3)
        assert not np.allclose(samples, other, atol=0.01)


@pytest.mark.parametrize("seconds", [0.5, 30.0])
def test_any_length(seconds):
    assert len(synthesise_tune(tune("marimba", 1), seconds=seconds)) == seconds * SAMPLE_RATE


@pytest.mark.parametrize(
    ("change", "seconds", "words"),
    [
        ({"instrument": "kazoo"}, 2.0, "no instrument"),
        ({"metre": 5}, 2.0, "metre of 5"),
        ({"mode": None}, 2.0, "no mode"),
        ({}, 0.1, "0.5 to 30"),
    ],
)
def test_misuse_is_told(change, seconds, words):
    with pytest.raises(Q2AError, match=words):
        synthesise_tune(replace(tune("piano", 0), **change), seconds=seconds)


@pytest.mark.parametrize("mode", SCALES)
@pytest.mark.parametrize("metre", [3, 4])
def test_score_keeps_to_the_scale_and_ends_on_the_tonic(mode, metre):
    for seed in range(10):
        notes = compose(np.random.default_rng(seed), mode=mode, metre=metre, phrases=2)
        assert {pitch % 12 for note in notes for pitch in note.pitches} <= set(SCALES[mode])
        beats = np.array([note.start for note in notes])
        end = [note.pitches for note in notes if note.start == beats.max()]
        assert (12,) in end
        assert beats.max() == 8 * metre - 1
        first = sum(note.loudness for note in notes if note.start % metre == 0)
        later = sum(note.loudness for note in notes if note.start % metre == 1)
        assert first > 1.5 * later


def rhythm(samples: np.ndarray, *, by_loudness: bool = False) -> np.ndarray:
    """How well the onsets repeat after each lag (10 ms each); the louder and lower ones count for more if asked."""
    import librosa

    options = {"y": samples, "sr": SAMPLE_RATE, "hop_length": 160, "n_fft": 1_024}
    if by_loudness:
        mel = librosa.feature.melspectrogram(**options, n_mels=40)
        strength = np.maximum(np.diff(np.sqrt(mel), axis=1), 0).sum(axis=0)
    else:
        strength = librosa.onset.onset_strength(**options)
    strength = strength - strength.mean()
    power = np.abs(np.fft.rfft(strength, 2 * len(strength))) ** 2
    repeat = np.fft.irfft(power)[: len(strength)]
    return repeat / repeat[0] / np.linspace(1, 0.001, len(strength))


@pytest.mark.parametrize("instrument", ["piano", "guitar", "trumpet", "marimba", "drums"])
@pytest.mark.parametrize("tempo", [65, 110, 165])
def test_the_beat_comes_back_at_the_tempo(instrument, tempo):
    hits = []
    for seed in range(3):
        samples = synthesise_tune(tune(instrument, seed, tempo=tempo), seconds=8.0)
        repeat = rhythm(samples)
        # the strongest repeat within a third of an octave of the beat.
        near = np.arange(round(6_000 / tempo / 1.26), round(6_000 / tempo * 1.26) + 1)
        best = near[repeat[near].argmax()]
        hits.append(abs(6_000 / best / tempo - 1) < 0.05)
    assert sum(hits) >= 2


@pytest.mark.parametrize("instrument", TUNE_INSTRUMENTS)
def test_the_metre_is_heard_in_the_repeat_of_the_bar(instrument):
    right = 0
    for seed in range(4):
        metre = 3 + seed % 2
        samples = synthesise_tune(tune(instrument, seed, tempo=120, metre=metre), seconds=12.0)
        repeat = rhythm(samples, by_loudness=True)
        # a beat is 50 lags of 10 ms; the bar must come back once and twice.
        bars = {3: (150, 300), 4: (200, 400)}
        score = {m: sum(repeat[lag - 2 : lag + 3].max() for lag in bars[m]) for m in bars}
        right += max(score, key=lambda beats: score[beats]) == metre
    assert right >= 4


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_the_third_above_the_tonic_tells_the_mode(instrument):
    import librosa

    right = 0
    for seed in range(6):
        planned = tune(instrument, seed, mode=("major", "minor")[seed % 2])
        samples = synthesise_tune(planned, seconds=6.0)
        chroma = librosa.feature.chroma_stft(
            y=samples, sr=SAMPLE_RATE, n_fft=4_096, hop_length=1_024, tuning=0.0
        ).mean(axis=1)
        minor, major = chroma[(planned.tonic + 3) % 12], chroma[(planned.tonic + 4) % 12]
        right += ("major" if major > minor else "minor") == planned.mode
    assert right >= 5


def features(samples: np.ndarray) -> np.ndarray:
    """Mean, spread and change of 32 log-mel bands."""
    import librosa

    mel = librosa.feature.melspectrogram(
        y=samples, sr=SAMPLE_RATE, n_fft=512, hop_length=160, n_mels=32
    )
    levels = librosa.power_to_db(mel, ref=np.max, top_db=70).T
    change = np.diff(levels, axis=0)
    texture = np.abs(np.diff(levels, axis=1)).mean(axis=0)
    return np.concatenate(
        [
            levels.mean(axis=0),
            levels.std(axis=0),
            np.quantile(change, 0.97, axis=0),
            np.quantile(change, 0.2, axis=0),
            texture,
        ]
    )


def test_a_simple_listener_tells_the_instruments_apart():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    def batch(seeds: range) -> tuple[np.ndarray, list[str]]:
        rng = np.random.default_rng(seeds.start)
        made, labels = [], []
        for instrument in TUNE_INSTRUMENTS:
            for seed in seeds:
                planned = replace(plan_tune(rng), instrument=instrument, seed=seed, mode="major")
                made.append(features(synthesise_tune(planned, seconds=2.0)))
                labels.append(instrument)
        return np.stack(made), labels

    train, train_labels = batch(range(1_000, 1_018))
    test, test_labels = batch(range(2_000, 2_006))
    listener = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    guessed = listener.fit(train, train_labels).predict(test)
    right = np.array(guessed) == np.array(test_labels)
    confused = [f"{t}->{g}" for t, g in zip(test_labels, guessed, strict=True) if t != g]
    assert right.mean() >= 0.75, confused
