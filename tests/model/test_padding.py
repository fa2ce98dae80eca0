"""Attention masks read back as positions, lengths and a side."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from q2a_core.model.padding import read_padding


def read(rows: list[list[int]] | None, *, new: int, cached: int = 0):
    mask = None if rows is None else torch.tensor(rows)
    return read_padding(mask, new=new, cached=cached, device=torch.device("cpu"))


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5),
    side=st.sampled_from(["left", "right"]),
    cached=st.integers(0, 4),
    as_bool=st.booleans(),
)
def test_every_one_sided_mask(lengths, side, cached, as_bool):
    """Positions count from each row's first valid token, as transformers' generate derives them."""
    width = 9 + cached
    lengths = [length + cached for length in lengths]
    rows = [
        [0] * (width - n) + [1] * n if side == "left" else [1] * n + [0] * (width - n)
        for n in lengths
    ]
    mask = torch.tensor(rows, dtype=torch.bool if as_bool else torch.long)
    padding = read_padding(mask, new=9, cached=cached, device=mask.device)
    if all(n == width for n in lengths):
        assert padding.lengths is None
        assert padding.positions.tolist() == [list(range(cached, width))]
        return
    assert padding.lengths is not None
    assert padding.lengths.tolist() == lengths
    if any(0 < n < width for n in lengths):
        assert padding.side == side
    expected = (mask.long().cumsum(-1) - 1)[:, cached:]
    valid = mask[:, cached:].bool()
    assert torch.equal(padding.positions[valid], expected[valid])
    assert int(padding.positions.min()) >= 0


def test_no_mask_is_no_padding():
    padding = read(None, new=3, cached=5)
    assert padding.positions.tolist() == [[5, 6, 7]]
    assert padding.lengths is None


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 0, 1]],
        [[0, 1, 0]],
        [[0, 1, 1], [1, 1, 0]],
    ],
    ids=["hole", "both sides", "one row each side"],
)
def test_holes_and_mixed_sides_are_refused(rows):
    with pytest.raises(ValueError, match="holes or mixes"):
        read(rows, new=3)


def test_a_mask_must_cover_what_is_cached():
    with pytest.raises(ValueError, match="3 columns; expected 5"):
        read([[0, 1, 1]], new=1, cached=4)
    with pytest.raises(ValueError, match="3 columns; expected 2"):
        read([[0, 1, 1]], new=1, cached=1)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.tensor([[float("-inf"), 0.0, 0.0]]), "other values than 0 and 1"),
        (torch.tensor([[0, 1, 2]]), "other values than 0 and 1"),
        (torch.tensor([[0.5, 1.0, 1.0]]), "other values than 0 and 1"),
        (torch.ones(3), r"shape \(3,\); expected \(B, 3\)"),
    ],
    ids=["additive", "two", "half", "no rows"],
)
def test_masks_that_would_be_read_as_something_else_are_refused(mask, words):
    with pytest.raises(ValueError, match=words):
        read_padding(mask, new=3, cached=0, device=torch.device("cpu"))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_zeros_and_ones_of_any_type_are_a_mask(dtype):
    mask = torch.tensor([[0, 1, 1], [1, 1, 1]]).to(dtype)
    assert read_padding(mask, new=3, cached=0, device=mask.device).lengths.tolist() == [2, 3]
