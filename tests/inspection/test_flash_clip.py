"""One head of a real clip in tiles: against hooks in the model's own batch, the reference, and pictures read back."""

import numpy as np
import pytest
import torch

from q2a_core import lengths
from q2a_core.audio.mel import log_mel, stack_mels
from q2a_core.errors import Q2AError
from q2a_core.inspection import bug_hunt, flash_pictures
from q2a_core.inspection.flash_clip import (
    MOST_TILES,
    encoder_inputs,
    head_tensors,
    run_head,
    tile_choices,
    view_step,
)
from q2a_core.inspection.flash_steps import FAULTS

SHORT, LONG = 2.0, 2.5


def clip(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.3, 0.3, round(seconds * lengths.SAMPLE_RATE)).astype(np.float32)


def hooked(model, clips, layer, head, row):
    """q, k and v of a head as the model's own projections give them in a batch."""
    seen = {}
    attention = model.audio_encoder.layers[layer].self_attn
    handles = [
        getattr(attention, name).register_forward_hook(
            lambda _module, _given, out, name=name: seen.update({name: out})
        )
        for name in ("q_proj", "k_proj", "v_proj")
    ]
    config = model.config.encoder
    mels = [
        log_mel(each, num_mels=config.num_mel_bins, max_frames=config.max_mel_frames)
        for each in clips
    ]
    frames = torch.tensor([lengths.mel_frames(len(each)) for each in clips])
    with torch.inference_mode():
        model.audio_encoder(stack_mels(mels), frames)
    for handle in handles:
        handle.remove()
    width = config.d_model // config.num_heads
    places = slice(head * width, (head + 1) * width)
    return [seen[name][row][:, places] for name in ("q_proj", "k_proj", "v_proj")]


@pytest.fixture(scope="module")
def tensors(tiny_model):
    inputs = encoder_inputs(tiny_model, clip(SHORT))
    return *head_tensors(tiny_model, inputs, layer=1, head=1), inputs.length


@pytest.mark.parametrize("head", [0, 1])
@pytest.mark.parametrize("layer", [0, 1])
def test_a_clip_alone_is_what_the_model_computes(tiny_model, layer, head):
    inputs = encoder_inputs(tiny_model, clip(SHORT))
    assert inputs.places == inputs.length == 100
    found = head_tensors(tiny_model, inputs, layer=layer, head=head)
    for ours, theirs in zip(found, hooked(tiny_model, [clip(SHORT)], layer, head, 0), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_beside_a_longer_clip_the_padding_is_the_batchs_own(tiny_model):
    inputs = encoder_inputs(tiny_model, clip(SHORT), beside_seconds=LONG)
    assert (inputs.length, inputs.places) == (100, 125)
    found = head_tensors(tiny_model, inputs, layer=1, head=0)
    # the longer clip is the first row of its group
    pair = [clip(LONG, seed=1), clip(SHORT)]
    for ours, theirs in zip(found, hooked(tiny_model, pair, 1, 0, 1), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_clip_beyond_the_window_is_cut_and_padding_ends_there(tiny_model):
    window = tiny_model.config.encoder.max_source_positions
    assert encoder_inputs(tiny_model, clip(6.0)).length == window
    assert encoder_inputs(tiny_model, clip(0.5), beside_seconds=30.0).places == window
    assert encoder_inputs(tiny_model, clip(SHORT), beside_seconds=1.0).places == 100


@pytest.mark.parametrize("places", [1, 7, 8, 25, 150, 500, 1500, 4000])
def test_tiles_are_never_too_many(places):
    choices = tile_choices(places)
    assert choices
    assert all(-(-places // tile) <= MOST_TILES for tile in choices)
    assert list(choices) == sorted(choices)
    if places <= 256:
        assert sum(tile >= places for tile in choices) == 1, "one tile that holds the whole clip"


def test_the_steps_end_at_the_reference(tensors):
    q, k, v, length = tensors
    found = run_head(q, k, v, length=length, tile=32)
    assert found.difference < 1e-5
    assert found.tiles == 4
    expected = ((q @ k.T) * q.shape[1] ** -0.5).softmax(-1)
    assert found.peak == pytest.approx(float(expected.max()), rel=1e-4)
    torch.testing.assert_close(found.reference, expected @ v, rtol=1e-4, atol=1e-5)


def test_what_is_held_before_and_after_a_tile(tensors):
    q, k, v, length = tensors
    found = run_head(q, k, v, length=length, tile=32)
    scores = ((q @ k.T) * q.shape[1] ** -0.5).numpy()
    first, third = view_step(found, 0), view_step(found, 2)
    assert np.isneginf(first.old_max).all()
    assert not first.old_sum.any()
    assert first.grew == 32
    np.testing.assert_allclose(third.old_max, scores[:32, :64].max(1), rtol=1e-5)
    np.testing.assert_allclose(third.new_max, scores[:32, :96].max(1), rtol=1e-5)
    np.testing.assert_allclose(third.rescale, np.exp(third.old_max - third.new_max), rtol=1e-5)
    assert third.grew == (third.new_max > third.old_max).sum()
    sums = np.exp(scores[:32, :96] - third.new_max[:, None]).sum(1)
    np.testing.assert_allclose(third.new_sum, sums, rtol=1e-4)
    last = view_step(found, 15)
    assert (last.queries, last.keys, last.valid_rows) == ((96, 100), (96, 100), 4)
    assert last.unfinished is not None
    assert last.unfinished < 1e-5
    assert first.unfinished is not None
    assert first.unfinished > 1e-4


def test_padding_is_skipped_and_says_so(tensors):
    q, k, v, _ = tensors
    found = run_head(q, k, v, length=40, tile=32)
    views = [view_step(found, number) for number in range(len(found.run.steps))]
    assert sum(view.skipped for view in views) == 12
    assert views[-1].valid_rows == 0
    assert views[-1].unfinished is None
    assert found.difference < 1e-5
    # rows 40 to 63 share a tile with the clip's last ones
    expected = ((q[:40] @ k[:40].T) * q.shape[1] ** -0.5).softmax(-1)
    assert found.peak == pytest.approx(float(expected.max()), rel=1e-4)
    assert not found.run.weights_so_far(len(views) - 1)[40:64, :64].any()


def test_the_map_shows_weights_padding_and_the_tile(tensors):
    q, k, v, _ = tensors
    found = run_head(q, k, v, length=80, tile=32)
    picture = flash_pictures.map_picture(found, 1)
    scale = flash_pictures.SIDE // 100
    assert picture.shape == (100 * scale, 100 * scale, 3)
    assert tuple(picture[40 * scale, 10 * scale]) == flash_pictures.UNSEEN
    padding = {flash_pictures.PADDING, flash_pictures.STRIPE}
    assert {tuple(pixel) for pixel in picture[:, 80 * scale :].reshape(-1, 3)} == padding
    assert tuple(picture[2, 33 * scale]) == flash_pictures.OUTLINE
    weight = float(found.run.weights_so_far(1)[20, 10]) / found.peak
    expected = flash_pictures.colours(np.array(weight**flash_pictures.LIGHTNESS))
    shown = picture[20 * scale + 1, 10 * scale + 1]
    np.testing.assert_allclose(shown.astype(int), expected.astype(int), atol=4)


def test_a_long_map_fits_and_keeps_its_largest_weight():
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1200, 8, generator=generator) for _ in range(3))
    found = run_head(q, k, v, length=1200, tile=256)
    picture = flash_pictures.map_picture(found, len(found.run.steps) - 1)
    assert picture.shape == (flash_pictures.SIDE, flash_pictures.SIDE, 3)
    lightest = tuple(flash_pictures.colours(np.array(1.0)))
    assert (picture.reshape(-1, 3) == lightest).all(1).any()


def test_held_pictures_are_a_band_for_each_row(tensors):
    q, k, v, _ = tensors
    found = run_head(q, k, v, length=40, tile=32)
    for number in (0, 1, 15):  # the last is all padding
        view = view_step(found, number)
        rows = len(view.new_max)
        pictures = flash_pictures.held_pictures(view)
        assert {picture.dtype for picture in pictures.values()} == {np.dtype(np.uint8)}
        assert {picture.shape[0] for picture in pictures.values()} == {256 // rows * rows}


@pytest.mark.parametrize(("places", "tile"), [(40, 32), (70, 16), (1200, 256)])
def test_errors_of_a_query_stand_at_one_height(places, tile):
    """One row is wrong: its line is light in all three pictures, and in no other line."""
    tiles, wrong = -(-places // tile), places // 2
    rows, by_tile = np.zeros(places), np.zeros((tiles, tiles))
    rows[wrong], by_tile[wrong // tile, -1] = 1.0, 1.0
    pattern = bug_hunt.ErrorPattern(
        by_row=rows, by_tile=by_tile, weight_sums=1 + rows, grew=rows > 0, size=1.0
    )
    picture = flash_pictures.error_pictures(pattern, tile=tile)
    height, strip = len(picture), flash_pictures.STRIP
    lightest = tuple(flash_pictures.colours(np.array(1.0)))
    light = (picture[..., :3] == lightest).all(-1)
    [tile_lines], [row_lines], [sum_lines] = (
        np.nonzero(light[:, at].any(-1))
        for at in (
            slice(0, -2 * (strip + flash_pictures.GAP)),
            slice(-2 * strip - flash_pictures.GAP, -strip - flash_pictures.GAP),
            slice(-strip, None),
        )
    )
    assert (row_lines == sum_lines).all()
    assert row_lines[0] <= (wrong + 0.5) * height / (tiles * tile) <= row_lines[-1] + 1
    assert set(row_lines) <= set(tile_lines)
    assert picture[:, -strip - 1, 3].max() == 0, "the gap is clear"


def test_seeds_plant_every_fault_and_always_the_same():
    found = [bug_hunt.planted(seed) for seed in range(40)]
    assert set(found) == set(FAULTS)
    assert found == [bug_hunt.planted(seed) for seed in range(40)]


def test_a_verdict_tells_only_about_the_guess():
    for seed in range(6):
        truth = bug_hunt.planted(seed)
        for name, fault in FAULTS.items():
            verdict = bug_hunt.judge_guess(seed, name)
            assert verdict.right == (name == truth)
            assert verdict.text == (fault.why if name == truth else fault.symptom)
    with pytest.raises(Q2AError, match="gremlin"):
        bug_hunt.judge_guess(0, "gremlin")


@pytest.mark.parametrize("fault", FAULTS)
def test_error_patterns_are_what_the_faults_say(fault):
    generator = torch.Generator().manual_seed(1)
    q, k, v = (1.5 * torch.randn(110, 16, generator=generator) for _ in range(3))
    seed = next(seed for seed in range(99) if bug_hunt.planted(seed) == fault)
    pattern = bug_hunt.error_pattern(q, k, v, length=70, tile=32, seed=seed)
    scores = (q[:70] @ k[:70].T) / 4
    assert (pattern.grew == (scores[:, :32].amax(1) < scores.amax(1)).numpy()).all()
    assert pattern.by_row.shape == (70,)
    assert np.isnan(pattern.by_tile[3]).all()
    assert np.isnan(pattern.by_tile[:, 3]).all()
    done = pattern.by_tile[:3, 2]
    for tile in range(3):  # after the last keys the answer is the output
        rows = pattern.by_row[32 * tile : 32 * tile + 32]
        assert done[tile] == pytest.approx(rows.max(), rel=1e-3)
    assert pattern.wrong_rows.any()
    first_column_is_right = (pattern.by_tile[:3, 0] < 1e-5).all()
    assert first_column_is_right == (fault != "scores_not_scaled")
    sums = pattern.weight_sums
    if fault in ("accumulator_not_rescaled", "sum_not_rescaled"):
        assert pattern.wrong_that_grew == pattern.wrong_rows.sum()
        above = sums[pattern.wrong_rows] > 1
        assert above.all() if fault == "accumulator_not_rescaled" else not above.any()
    elif fault == "scores_not_scaled":
        np.testing.assert_allclose(sums, 1.0, rtol=1e-4)
    elif fault == "padding_attended":
        assert (sums < 1).all()
        assert (pattern.by_tile[:3, 1] < 1e-5).all()
    full = bug_hunt.error_pattern(q, k, v, length=96, tile=32, seed=seed)
    assert full.wrong_rows.any() == (fault != "padding_attended")
