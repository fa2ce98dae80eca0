"""Flash attention in steps against the reference, and every planted fault against what its text says."""

import pytest
import torch

from q2a_core.errors import Q2AError
from q2a_core.inspection.flash_steps import FAULTS, flash_steps
from q2a_core.kernels import attention
from q2a_core.kernels.attention_reference import attention_weights


def head(places: int, width: int = 16, seed: int = 0, spread: float = 1.5):
    generator = torch.Generator().manual_seed(seed)
    return [spread * torch.randn(places, width, generator=generator) for _ in range(3)]


def reference(q, k, v, length):
    out = attention(
        *(x[None, None] for x in (q, k, v)), lengths=torch.tensor([length]), backend="reference"
    )
    return out[0, 0]


@pytest.mark.parametrize("places", [1, 31, 32, 33, 150])
@pytest.mark.parametrize("tile", [1, 16, 32, 200])
def test_equals_the_reference(places, tile):
    q, k, v = head(places)
    for length in {1, places // 2 + 1, places}:
        run = flash_steps(q, k, v, length=length, tile=tile)
        torch.testing.assert_close(run.out, reference(q, k, v, length), rtol=1e-5, atol=1e-5)
        assert len(run.steps) == (-(-places // tile)) ** 2


def test_padding_is_skipped_and_never_read():
    q, k, v = head(96)
    for x in (q, k, v):
        x[40:] = float("nan")
    run = flash_steps(q, k, v, length=40, tile=16)
    assert run.out.isfinite().all()
    assert not run.out[40:].any()
    read = [(step.queries[0], step.keys[0]) for step in run.steps if not step.skipped]
    assert read == [(top, left) for top in (0, 16, 32) for left in (0, 16, 32)]


def test_what_is_held_between_tiles():
    q, k, v = head(64)
    run = flash_steps(q, k, v, tile=16)
    scores = (q @ k.T) * 16**-0.5
    for step in run.steps:
        (top, bottom), right = step.queries, step.keys[1]
        seen = scores[top:bottom, :right]
        torch.testing.assert_close(step.row_max, seen.amax(-1))
        weights = (seen - step.row_max[:, None]).exp()
        torch.testing.assert_close(step.row_sum, weights.sum(-1))
        torch.testing.assert_close(step.accumulator, weights @ v[:right], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(run.lse, scores.logsumexp(-1))


def test_weights_appear_tile_by_tile():
    q, k, v = head(64)
    run = flash_steps(q, k, v, tile=32)
    assert [step.keys for step in run.steps[:2]] == [(0, 32), (32, 64)]
    expected = attention_weights(q[None, None], k[None, None])[0, 0]
    half = run.weights_so_far(1)
    torch.testing.assert_close(half[:32], expected[:32])
    assert half[32:].isnan().all()
    torch.testing.assert_close(run.weights_so_far(len(run.steps) - 1), expected)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_wrong_and_shows_as_it_says(fault):
    q, k, v = head(70)
    right = reference(q, k, v, 70)
    wrong = flash_steps(q, k, v, tile=32, fault=fault)
    off = (wrong.out - right).abs().amax(-1)
    assert off.max() > 0.05
    first = ((q @ k.T) * 16**-0.5)[:, :32].amax(-1)
    grew = first < ((q @ k.T) * 16**-0.5).amax(-1) - 1e-6
    if fault in ("accumulator_not_rescaled", "sum_not_rescaled"):
        assert (off[~grew] < 1e-5).all()
        assert (off[grew] > 1e-6).all()
    elif fault == "divided_in_every_tile":
        one = flash_steps(q, k, v, tile=70, fault=fault)
        torch.testing.assert_close(one.out, right, rtol=1e-5, atol=1e-5)
    elif fault == "padding_attended":
        q, k, v = (torch.cat([x, torch.zeros(26, 16)]) for x in (q, k, v))
        emptier = flash_steps(q, k, v, length=70, tile=32, fault=fault).out[:70]
        assert (emptier.norm(dim=-1) < right.norm(dim=-1)).all()
        full = flash_steps(*head(64), tile=32, fault=fault).out
        torch.testing.assert_close(full, reference(*head(64), 64), rtol=1e-5, atol=1e-5)
    else:
        assert (off > 1e-4).all()


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"tile": 0}, "tiles of 0"),
        ({"length": 0}, "0 valid of 8 places"),
        ({"length": 9}, "9 valid of 8 places"),
        ({"fault": "gremlin"}, "no fault is called 'gremlin'"),
    ],
)
def test_nonsense_is_refused(options, fragment):
    with pytest.raises(Q2AError, match=fragment):
        flash_steps(*head(8), **options)
