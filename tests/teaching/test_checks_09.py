"""Lesson 09's exercises: right answers pass, and every usual mistake is called by its name."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from q2a_core.inspection.bug_hunt import planted
from q2a_core.inspection.flash_steps import FAULTS, flash_steps
from q2a_core.kernels import attention
from q2a_core.teaching.checks import check, exercises_of
from q2a_core.teaching.checks.lesson_09 import HUNT


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """What passes is noted there."""
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))


def absorb(row_max, row_sum, scores):
    new = torch.maximum(row_max, scores.max(dim=1).values)
    base = torch.where(new == -torch.inf, 0.0, new)
    grown = torch.exp(scores - base[:, None]).sum(dim=1)
    return new, row_sum * torch.exp(row_max - base) + grown


def absorb_by_logaddexp(row_max, row_sum, scores):
    """The same through the logarithm of the whole sum."""
    new = torch.maximum(row_max, scores.amax(-1))
    total = torch.logaddexp(row_max + row_sum.log(), torch.logsumexp(scores, -1))
    return new, torch.where(new == -torch.inf, 0.0, (total - new).exp())


def absorb_careless(row_max, row_sum, scores):
    new = torch.maximum(row_max, scores.amax(1))
    return new, row_sum * (row_max - new).exp() + (scores - new[:, None]).exp().sum(1)


def absorb_clamped(row_max, row_sum, scores):
    """Cuts large scores off, so that no exponential overflows."""
    return absorb(row_max, row_sum, scores.clamp(max=80))


def absorb_from_zero(row_max, row_sum, scores):
    """Takes 0 for minus infinity, and keeps it."""
    new = torch.maximum(row_max, scores.amax(1))
    new = torch.where(new == -torch.inf, 0.0, new)
    return new, row_sum * (row_max - new).exp() + (scores - new[:, None]).exp().sum(1)


def absorb_in_double(row_max, row_sum, scores):
    found = absorb(row_max.double(), row_sum.double(), scores.double())
    return [x.float() for x in found]


def absorb_how(how):
    def step(row_max, row_sum, scores):
        new = torch.maximum(row_max, scores.amax(1))
        if how == "own":
            new = scores.amax(1)
        if how == "one":
            new = torch.maximum(row_max, scores.max())
        shrink = (row_max - new).exp()
        added = (scores - new[:, None]).exp().sum(1)
        if how == "unscaled":
            return new, row_sum + added
        if how == "wrong way":
            return new, torch.nan_to_num(row_sum / shrink) + added
        if how == "plain":
            return new, row_sum + scores.exp().sum(1)
        if how == "forgotten":
            return new, added
        return new, row_sum * shrink + added

    return step


def scores(q, k, left, length):
    found = q @ k.T / q.shape[1] ** 0.5
    found[:, max(length - left, 0) :] = float("-inf")
    return found


def scores_finite(q, k, left, length):
    """A very low number does as well as minus infinity."""
    beyond = torch.arange(left, left + len(k)) >= length
    return torch.where(beyond[None], -1e38, torch.einsum("rd,cd->rc", q, k) * q.shape[1] ** -0.5)


def scores_below(number):
    """Padding's scores are a number."""

    def answer(q, k, left, length):
        beyond = torch.arange(left, left + len(k)) >= length
        return (q @ k.T / q.shape[1] ** 0.5).masked_fill(beyond, number)

    return answer


def tile(row_max, row_sum, accumulator, s, v):
    new = torch.maximum(row_max, s.amax(-1))
    shrink, weights = torch.exp(row_max - new), torch.exp(s - new[:, None])
    return new, shrink * row_sum + weights.sum(-1), shrink[:, None] * accumulator + weights @ v


def tile_how(how):
    def step(row_max, row_sum, accumulator, s, v):
        new, total, kept = tile(row_max, row_sum, accumulator, s, v)
        weights = torch.exp(s - new[:, None])
        if how == "unscaled":
            return new, total, accumulator + weights @ v
        if how == "sum":
            return new, row_sum + weights.sum(-1), kept
        if how == "softmax":
            shrink = torch.exp(row_max - new)
            return new, total, accumulator * shrink[:, None] + s.softmax(-1) @ v
        if how == "forgotten":
            return new, total, weights @ v
        return new, total, kept / total[:, None]

    def divided(row_max, row_sum, accumulator, s, v):
        new, total, kept = tile(row_max, row_sum, accumulator, s, v)
        return new, total, kept / total[:, None]

    return divided if how == "divided" else step


def flash_with(product):
    """Two loops with a way of one's own to multiply a tile of queries with one of keys."""

    def answer(q, k, v, length, size):
        out = torch.zeros_like(q)
        for top in range(0, length, size):
            rows = slice(top, min(top + size, length))
            n = rows.stop - top
            state = torch.full((n,), -torch.inf), torch.zeros(n), torch.zeros(n, v.shape[1])
            for left in range(0, length, size):
                keys = slice(left, min(left + size, length))
                s = product(q[rows], k[keys]) * q.shape[1] ** -0.5
                state = tile(*state, s, v[keys])
            out[rows] = state[2] / state[1][:, None]
        return out

    return answer


flash = flash_with(lambda queries, keys: queries @ keys.T)


def whole(q, k, v, length, size):
    """No tiles at all, and right."""
    out = torch.zeros_like(q)
    keys = slice(0, length)
    out[keys] = (q[keys] @ k[keys].T * q.shape[1] ** -0.5).softmax(-1) @ v[keys]
    return out


def rows_whole(q, k, v, length, size):
    """Queries in tiles, keys in one piece."""
    out = torch.zeros_like(q)
    for top in range(0, length, size):
        rows = slice(top, min(top + size, length))
        out[rows] = (q[rows] @ k[:length].T * q.shape[1] ** -0.5).softmax(-1) @ v[:length]
    return out


def keys_alone(q, k, v, length, size):
    """Keys in tiles, queries in one piece."""
    out = torch.zeros_like(q)
    state = torch.full((length,), -torch.inf), torch.zeros(length), torch.zeros(length, v.shape[1])
    for left in range(0, length, size):
        keys = slice(left, min(left + size, length))
        state = tile(*state, q[:length] @ k[keys].T * q.shape[1] ** -0.5, v[keys])
    out[:length] = state[2] / state[1][:, None]
    return out


def row_by_row(q, k, v, length, size):
    """One query at a time, and all of its weights."""
    out = torch.zeros_like(q)
    for row in range(length):
        out[row] = (k[:length] @ q[row] * q.shape[1] ** -0.5).softmax(-1) @ v[:length]
    return out


def in_numpy(q, k, v, length, size):
    """The whole map, where torch does not see it."""
    one, keys, values = (x[:length].numpy() for x in (q, k, v))
    weights = np.exp(one @ keys.T * q.shape[1] ** -0.5)
    out = torch.zeros_like(q)
    out[:length] = torch.from_numpy(weights / weights.sum(1, keepdims=True) @ values)
    return out


def ready_made(q, k, v, length, size):
    out = torch.zeros_like(q)
    given = [x[None, None, :length] for x in (q, k, v)]
    out[:length] = F.scaled_dot_product_attention(*given)[0, 0]
    return out


def times_zero(q, k, v, length, size):
    """Multiplies what is padded by a weight of zero."""
    out = flash(q, k, v, length, size)
    return out + 0.0 * v.sum()


def padded_rows(q, k, v, length, size):
    out = flash(q, k, v, length, size)
    out[length:] = 1.0
    return out


def all_keys(q, k, v, length, size):
    out = flash(q, k, v, len(q), size)
    out[length:] = 0.0
    return out


def softmax_of_tiles(q, k, v, length, size):
    out = torch.zeros_like(q)
    for left in range(0, length, size):
        keys = slice(left, min(left + size, length))
        out[:length] += (q[:length] @ k[keys].T * q.shape[1] ** -0.5).softmax(-1) @ v[keys]
    return out


def last_tile_missing(q, k, v, length, size):
    kept = length // size * size
    return F.pad(flash(q[:kept], k[:kept], v[:kept], kept, size), (0, 0, 0, len(q) - kept))


def faulty(name):
    return lambda q, k, v, length, size: (
        flash_steps(q, k, v, length=length, tile=size, fault=name).out
    )


RIGHT = {
    "09.absorb": [absorb, absorb_by_logaddexp, absorb_in_double],
    "09.scores": [scores, scores_finite, scores_below(-1e9), scores_below(-1e4)],
    "09.tile": [tile, lambda *given: list(tile(*given))],
    "09.lse": [
        lambda m, s: m + torch.log(s),
        lambda m, s: torch.logaddexp(m, m + torch.log(s - 1)),
    ],
    "09.flash": [
        flash,
        lambda q, k, v, length, size: flash_steps(q, k, v, length=length, tile=size).out,
        flash_with(lambda one, other: torch.einsum("rd,cd->rc", one, other)),
        flash_with(lambda one, other: (one[:, None] * other).sum(-1)),
        flash_with(F.linear),
    ],
    "09.hunt": [{seed: planted(seed) for seed in HUNT}],
}
OTHER = {seed: next(name for name in FAULTS if name != planted(seed)) for seed in HUNT}
WRONG = [
    ("09.absorb", absorb_how("unscaled"), "keeps its old scale"),
    ("09.absorb", absorb_how("wrong way"), "wrong way round"),
    ("09.absorb", absorb_how("own"), "the tile's own"),
    ("09.absorb", absorb_how("one"), "one maximum for the whole tile"),
    ("09.absorb", absorb_how("plain"), "infinite for large ones"),
    ("09.absorb", absorb_how("forgotten"), "only the last tile"),
    ("09.absorb", absorb_careless, "seen no key yet becomes NaN"),
    ("09.absorb", absorb_clamped, "cut nothing off"),
    ("09.absorb", absorb_from_zero, "seen no key yet comes out wrong"),
    ("09.absorb", lambda m, s, x: m, "return two tensors"),
    ("09.scores", lambda q, k, at, n: q @ k.T, "product alone"),
    ("09.scores", lambda q, k, at, n: 4 * scores(q, k, at, n), "divided by the root"),
    ("09.scores", lambda q, k, at, n: scores(q, k, at, n) / 4, "divide by its root"),
    ("09.scores", lambda q, k, at, n: q @ k.T / 4, "nothing is masked"),
    ("09.scores", lambda q, k, at, n: scores(q, k, at, n).nan_to_num(neginf=0.0), "exp(0) is 1"),
    ("09.scores", lambda q, k, at, n: scores(q, k, 0, n), "key `left + c`"),
    ("09.scores", lambda q, k, at, n: scores(q, k, at, n + 1), "off by one"),
    ("09.scores", lambda q, k, at, n: scores(q, k, at, n - 1), "last key is masked too"),
    ("09.scores", lambda q, k, at, n: scores(q, k, at, n).T, "exchanged"),
    ("09.scores", scores_below(-50.0), "wants float('-inf')"),
    ("09.scores", scores_below(1.0), "look at the picture"),
    ("09.tile", tile_how("unscaled"), "accumulator keeps its old scale"),
    ("09.tile", tile_how("sum"), "running sum keeps its old scale"),
    ("09.tile", tile_how("softmax"), "relative to the tile, not to the row"),
    ("09.tile", tile_how("divided"), "you divide in every tile"),
    ("09.tile", tile_how("forgotten"), "the old accumulator is lost"),
    ("09.tile", lambda *given: given[0], "return three tensors"),
    ("09.lse", lambda m, s: s.log(), "the maximum is missing"),
    ("09.lse", lambda m, s: m + s, "needs its logarithm"),
    ("09.lse", lambda m, s: (m.exp() * s).log(), "never take exp(maximum)"),
    ("09.lse", lambda m, s: m + s.log2(), "base 2"),
    ("09.lse", lambda m, s: m * s.log(), "you multiply"),
    ("09.flash", all_keys, "keys of the padding take part"),
    ("09.flash", softmax_of_tiles, "softmax of each tile"),
    ("09.flash", last_tile_missing, "last tile is missing"),
    ("09.flash", padded_rows, "rows of padding must be zeros"),
    ("09.flash", times_zero, "a weight of 0 times NaN"),
    ("09.flash", whole, "not by tiles"),
    ("09.flash", rows_whole, "Both queries and keys must pass by in tiles"),
    ("09.flash", keys_alone, "queries and keys must pass by in tiles"),
    ("09.flash", row_by_row, "a row of 256 weights is whole"),
    ("09.flash", in_numpy, "no tile of keys passed by"),
    ("09.flash", ready_made, "without NumPy or a ready-made attention"),
    ("09.flash", lambda q, k, v, n, size: flash(q, k, v, n, size)[:n], "padding included"),
    *(("09.flash", faulty(name), fault.title) for name, fault in FAULTS.items()),
    ("09.hunt", OTHER, "would look like"),
    ("09.hunt", dict.fromkeys(HUNT, "gremlin"), "no fault is called 'gremlin'"),
    ("09.hunt", {HUNT[0]: planted(HUNT[0])}, "no guess yet for kernel"),
    ("09.hunt", list(FAULTS), "give a dict"),
]


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_pass(name):
    for answer in RIGHT[name]:
        verdict = check(name, answer)
        assert verdict, verdict


@pytest.mark.parametrize(("name", "answer", "phrase"), WRONG, ids=[f"{w[0]} {w[2]}" for w in WRONG])
def test_usual_mistakes_are_called_by_their_names(name, answer, phrase):
    verdict = check(name, answer)
    assert verdict.state == "wrong"
    assert phrase in verdict.message, verdict.message


@pytest.mark.parametrize("item", exercises_of("09")[:-1], ids=lambda item: item.id)
def test_stubs_and_garbage_get_a_sentence(item):
    assert check(item.id, lambda *arguments: None).state == "unfilled"
    assert check(item.id, None).state == "unfilled"
    for garbage in (lambda *arguments: "many", lambda: 0, 3):
        verdict = check(item.id, garbage)
        assert verdict.state == "wrong"
        assert len(verdict.message) > 40


def test_the_hunt_has_different_faults_and_says_nothing_of_them_before():
    assert len({planted(seed) for seed in HUNT}) == len(HUNT)
    assert check("09.hunt", None).state == "unfilled"
    verdict = check("09.hunt", OTHER)
    assert not any(FAULTS[planted(seed)].why in verdict.message for seed in HUNT)


def test_every_exercise_has_three_planted_mistakes():
    for item in exercises_of("09"):
        assert sum(name == item.id for name, *_ in WRONG) >= 3
        assert item.id in RIGHT


def test_the_right_answer_is_right_beside_the_reference():
    q, k, v = torch.randn(3, 30, 16, generator=torch.Generator().manual_seed(0)).unbind()
    due = attention(*(x[None, None] for x in (q, k, v)), backend="reference")[0, 0]
    torch.testing.assert_close(flash(q, k, v, 30, 8), due)
