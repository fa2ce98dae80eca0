"""Changes of the log-mel while training, against the same changes made to the samples."""

import librosa
import numpy as np
import pytest

from q2a_core.audio.mel import log_mel, mel_centres
from q2a_core.lengths import SAMPLE_RATE, conv_mel_frames
from q2a_core.world.mel_changes import (
    FLOOR,
    QUICKEST,
    SLOWEST,
    add_hiss,
    bend_time,
    cut_above,
    draw_pace,
    mask_mel,
    move_formants,
    pace,
    vary_mel,
)


def tone_mel(hertz: float) -> np.ndarray:
    time = np.arange(SAMPLE_RATE, dtype=np.float32) / SAMPLE_RATE
    return log_mel(0.5 * np.sin(2 * np.pi * hertz * time)).numpy()


@pytest.mark.parametrize("factor", [0.87, 1.0, 1.14])
@pytest.mark.parametrize("hertz", [400.0, 1_300.0, 3_500.0])
def test_a_tone_moves_as_if_it_had_been_played_higher(hertz, factor):
    moved, played = move_formants(tone_mel(hertz), factor), tone_mel(hertz * factor)
    middle = slice(20, 80)
    peaks = [mel[:, middle].mean(axis=1).argmax() for mel in (moved, played)]
    assert abs(int(peaks[0]) - int(peaks[1])) <= 1


def test_the_centres_are_those_of_librosa():
    theirs = librosa.mel_frequencies(130, fmin=0.0, fmax=SAMPLE_RATE / 2)[1:-1]
    assert mel_centres() == pytest.approx(theirs, abs=1e-6)


def test_a_varied_mel_keeps_its_shape_and_range_and_when_things_happen():
    rng = np.random.default_rng(0)
    samples = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    samples[8_000:16_000] = 0.3 * rng.standard_normal(8_000)
    mel = log_mel(samples).numpy()
    loud = mel.mean(axis=0)
    seen = set()
    for seed in range(30):
        varied = vary_mel(mel, np.random.default_rng(seed))
        assert varied.dtype == np.float32
        assert varied.shape == mel.shape
        assert varied.max() - varied.min() <= FLOOR + 1e-6
        assert np.corrcoef(varied.mean(axis=0), loud)[0, 1] > 0.95
        assert np.array_equal(varied, vary_mel(mel, np.random.default_rng(seed)))
        seen.add(float(varied.mean()))
    assert len(seen) == 30


def test_a_wider_spread_takes_a_sound_further_from_what_it_was():
    mel = tone_mel(1_000.0)
    centres = mel_centres()
    octaves = {1.0: [], 2.0: []}
    for spread, found in octaves.items():
        for seed in range(40):
            varied = vary_mel(mel, np.random.default_rng(seed), spread=spread)
            found.append(np.log2(centres[varied[:, 40:60].mean(axis=1).argmax()] / 1_000.0))
    assert np.std(octaves[2.0]) > 1.4 * np.std(octaves[1.0])


def test_what_holds_nothing_stays_empty():
    """Below the range of a log-mel there is nothing to be bent; hiss and cuts apart, which may lie over it."""
    rng = np.random.default_rng(0)
    samples = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    samples[8_000:16_000] = 0.3 * rng.standard_normal(8_000)
    mel = log_mel(samples).numpy()
    empty = slice(120, None)  # behind the noise and what its windows touch
    assert np.all(mel[:, empty] == mel.min())
    still = 0
    for seed in range(60):
        quiet = vary_mel(mel, np.random.default_rng(seed))[:, empty]
        if np.ptp(quiet) == 0:
            still += 1
    assert still > 10, "half of them have no hiss"
    silent = np.full((128, 50), -1.5, dtype=np.float32)
    assert all(
        np.array_equal(vary_mel(silent, np.random.default_rng(seed)), silent) for seed in range(20)
    )


def test_time_bends_and_nothing_is_lost_or_turned_round():
    mel = np.zeros((128, 200), dtype=np.float32)
    mel[5, 20], mel[5, 100], mel[9, 180] = 1.0, 1.0, 1.0
    moved = set()
    for seed in range(30):
        bent = bend_time(mel, np.random.default_rng(seed))
        assert bent.shape == mel.shape
        assert bent.dtype == np.float32
        first, second, third = bent[5, :70].argmax(), 70 + bent[5, 70:].argmax(), bent[9].argmax()
        assert first < second < third
        assert bent[5, first] > 0.4
        moved.add(int(second))
        assert abs(second - 100) < 40
    assert len(moved) > 10
    steady = np.tile(np.arange(128, dtype=np.float32)[:, None], 200)
    assert np.allclose(bend_time(steady, np.random.default_rng(0)), steady, atol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 37, 200])
def test_another_pace_moves_everything_alike_and_fits_the_convolutions(frames):
    mel = np.zeros((128, conv_mel_frames(frames)), dtype=np.float32)
    mel[7] = np.arange(mel.shape[1])
    for factor in (0.9, 1.0, 1.37, 1.9):
        paced, longer = pace(mel, frames, factor)
        assert longer == max(round(frames * factor), 1)
        assert paced.shape == (128, conv_mel_frames(longer))
        assert paced.dtype == np.float32
        expected = np.arange(longer) * (frames - 1) / max(longer - 1, 1)
        assert np.allclose(paced[7, :longer], expected, atol=1e-3)
    assert np.array_equal(pace(mel, frames, 1.0)[0], mel)
    drawn = [draw_pace(np.random.default_rng(seed)) for seed in range(200)]
    assert QUICKEST < min(drawn) < 1 < max(drawn) < SLOWEST


def test_formants_move_apart_and_the_pitch_as_the_throat_does():
    """One factor for all is the old move; one for each value moves each row by its own."""
    mel = tone_mel(1_000.0)
    assert np.allclose(move_formants(mel, 1.1), move_formants(mel, np.full(mel.shape, 1.1)))
    centres, frames = mel_centres(), mel.shape[1]
    ramp = np.linspace(0.9, 1.2, frames)[None, :].repeat(128, 0)
    moved = move_formants(mel, ramp)
    heard = centres[moved.argmax(axis=0)]
    inner = slice(5, frames - 5)
    assert np.allclose(heard[inner], 1_000 * ramp[0][inner], rtol=0.05)


@pytest.mark.parametrize("frames", [1, 2, 14, 15, 31])
def test_a_short_clip_may_bend(frames):
    mel = np.random.default_rng(1).standard_normal((128, frames)).astype(np.float32)
    bent = bend_time(mel, np.random.default_rng(2))
    assert bent.shape == mel.shape
    assert np.array_equal(bent[:, 0], mel[:, 0]), "the ends stay"
    assert np.allclose(bent[:, -1], mel[:, -1], atol=1e-4)


def test_a_telephone_passes_nothing_high():
    mel = np.random.default_rng(3).standard_normal((128, 50)).astype(np.float32)
    cut = cut_above(mel, 3_400.0)
    high = mel_centres() > 3_400.0
    assert np.all(cut[high] == cut.min())
    assert np.array_equal(cut[~high], np.maximum(mel[~high], cut.max() - np.float32(FLOOR)))


def test_hiss_hides_only_what_is_softer():
    mel = tone_mel(1_000.0)
    for seed in range(20):
        hissing = add_hiss(mel, np.random.default_rng(seed))
        assert np.all(hissing >= mel)
        assert hissing.max() == mel.max()
        assert (hissing > mel).mean() > 0.3


def test_mel_mask_is_one_band_and_one_span_at_the_mean():
    mel = np.random.default_rng(0).standard_normal((128, 240)).astype(np.float32)
    widths = set()
    for seed in range(30):
        masked = mask_mel(mel, np.random.default_rng(seed))
        changed = masked != mel
        rows, columns = changed.all(axis=1), changed.all(axis=0)
        assert np.array_equal(changed, rows[:, None] | columns[None, :])
        assert np.all(masked[changed] == mel.mean())
        assert np.count_nonzero(np.diff(rows.astype(int), prepend=0, append=0)) <= 2
        assert np.count_nonzero(np.diff(columns.astype(int), prepend=0, append=0)) <= 2
        assert rows.sum() <= 24
        assert columns.sum() <= 40
        widths.add((int(rows.sum()), int(columns.sum())))
    assert len(widths) > 20


@pytest.mark.parametrize("frames", [1, 4, 7])
def test_mel_mask_leaves_most_of_a_short_clip(frames):
    mel = np.arange(128 * frames, dtype=np.float32).reshape(128, frames)
    for seed in range(20):
        masked = mask_mel(mel, np.random.default_rng(seed))
        assert masked.shape == mel.shape
        assert (masked == mel).mean() > 0.5
