"""The convolution as a matrix product gives what the library's gives, wherever it is taken."""

import pytest
import torch
from torch import nn

from q2a_core.model.frame_conv import FrameConv


@pytest.mark.parametrize("frames", [1, 2, 3, 110, 301])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (5, 3, 0)])
def test_one_clip_is_what_the_library_makes_of_it(frames, kernel, stride, padding):
    if frames + 2 * padding < kernel:
        pytest.skip("shorter than the kernel")
    torch.manual_seed(frames)
    ours = FrameConv(7, 11, kernel_size=kernel, stride=stride, padding=padding)
    theirs = nn.Conv1d(7, 11, kernel_size=kernel, stride=stride, padding=padding)
    theirs.load_state_dict(ours.state_dict())
    clip = torch.randn(1, 7, frames)
    expected = theirs(clip)
    torch.testing.assert_close(ours.as_product(clip), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours(clip), expected, atol=1e-6, rtol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(ours(clip), expected, atol=1e-6, rtol=1e-5)
        batch = torch.randn(3, 7, frames)
        torch.testing.assert_close(ours(batch), theirs(batch), atol=0, rtol=0)


def test_the_product_is_for_one_clip_without_gradients(monkeypatch):
    taken = []
    product = FrameConv.as_product
    monkeypatch.setattr(
        FrameConv, "as_product", lambda self, x: taken.append(1) or product(self, x)
    )
    conv, clip = FrameConv(4, 4, kernel_size=3, padding=1), torch.randn(1, 4, 9)
    conv(clip).sum().backward()
    assert conv.weight.grad is not None
    with torch.no_grad():
        conv(clip.expand(2, -1, -1))
        assert not taken
        conv(clip)
        assert taken
