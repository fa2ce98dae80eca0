"""What moves a token, measured: seven mel frames before attention, all of them after, as the arithmetic says."""

import copy

import numpy as np
import pytest

from inspection.conftest import noise
from q2a_core import lengths
from q2a_core.audio.mel import log_mel
from q2a_core.inspection.figures.attention import figure_reach, figure_squares
from q2a_core.inspection.reach import share_within, token_reach

CLIP = noise(1.69, 0)


def reach_of(chat, token: int):
    mel = log_mel(CLIP, max_frames=chat.model.config.encoder.max_mel_frames)
    return token_reach(chat.model, mel, 169, token)


@pytest.mark.parametrize("token", [0, 1, 20, 41])
def test_before_attention_a_token_reads_what_the_arithmetic_says(chat, token):
    found = reach_of(chat, token)
    start, stop = lengths.token_receptive_field(token)
    frames = [
        frame
        for frame in range(169)
        if start <= lengths.mel_frame_field(frame)[0] and lengths.mel_frame_field(frame)[1] <= stop
    ]
    assert np.flatnonzero(found.before).tolist() == frames
    assert len(frames) == 7 or token in (0, 41)
    assert (found.after > 0).all()
    assert found.token == token


def test_a_model_of_another_precision_has_the_same_reach(chat):
    """Nor need the log-mel, fp32 on the CPU, be where the model is."""
    model = copy.deepcopy(chat.model).bfloat16()
    mel = log_mel(CLIP, max_frames=model.config.encoder.max_mel_frames)
    found, exact = token_reach(model, mel, 169, 20), reach_of(chat, 20)
    assert found.before.dtype == np.float32
    assert np.abs(found.before - exact.before).max() <= 0.1 * exact.before.max()


def test_it_leaves_no_gradient_on_the_model(chat):
    reach_of(chat, 3)
    assert all(parameter.grad is None for parameter in chat.model.parameters())


def test_a_token_that_is_not_there(chat):
    with pytest.raises(ValueError, match="expected 0 to 41"):
        reach_of(chat, 42)


def test_share_near_the_diagonal():
    even = np.full((2, 10, 10), 0.1)
    assert share_within(even, 0) == pytest.approx([0.1, 0.1])
    assert share_within(np.eye(10), 0) == pytest.approx(1)
    assert share_within(even, 9) == pytest.approx([1, 1])


def test_pictures_show_what_was_measured(chat):
    found = reach_of(chat, 20)
    top, bottom = figure_reach(found, CLIP).axes
    assert [text.get_text().strip() for text in top.texts] == [
        "stands for 40 ms",
        "reads 85 ms",
        "knows of 1690 ms",
    ]
    after, before = bottom.lines
    assert (len(after.get_xdata()), len(before.get_xdata())) == (169, 7)
    assert max(before.get_ydata()) == 1
    maps = np.random.default_rng(0).uniform(size=(2, 5, 5))
    squares = figure_squares(maps, titles=["a", "b"])
    np.testing.assert_allclose(squares.axes[1].images[0].get_array(), np.sqrt(maps[1]))
    with pytest.raises(ValueError, match="1 titles were given for 2 maps"):
        figure_squares(maps, titles=["a"])
