"""Lesson 03's checks: right answers pass however they are written, each usual mistake gets its own sentence."""

import numpy as np
import pytest
import torch

from q2a_core import presets
from q2a_core.teaching.checks import exercises_of
from q2a_core.teaching.exercise import judged

EXERCISES = {exercise.id: exercise for exercise in exercises_of("03")}


def verdict(name, answer):
    return judged(EXERCISES[name], answer)


def expand(ids, placeholder, counts):
    counts = iter(counts)
    return [t for i in ids for t in ([i] * next(counts) if i == placeholder else [i])]


def expand_at_once(ids, placeholder, counts):
    ids, repeats = np.array(ids), np.ones(len(ids), dtype=int)
    repeats[ids == placeholder] = counts
    return np.repeat(ids, repeats)


def expand_in_place(ids, placeholder, counts):
    place = 0
    for count in counts:
        place = ids.index(placeholder, place)
        ids[place : place + 1] = [placeholder] * count
        place += count
    return ids


def merge(text, audio, where):
    merged = text.clone()
    merged[where] = audio
    return merged


def merge_by_loop(text, audio, where):
    rows, clip = list(text), iter(audio)
    return torch.stack([next(clip) if w else row for row, w in zip(rows, where, strict=True)])


def merge_by_counting(text, audio, where):
    """Every position asks how many placeholders came before it."""
    return torch.where(where[:, None], audio[(where.cumsum(0) - 1).clamp(min=0)], text)


def written(rows, where, text):
    merged = text.clone()
    merged[where] = rows
    return merged


def merge_block(text, audio, where):
    merged = text.clone()
    if where.any():
        start = int(where.nonzero()[0])
        merged[start : start + len(audio)] = audio[: len(text) - start]
    return merged


def merge_in_place(text, audio, where):
    text[where] = audio
    return text


def greedy(next_logits, stop_ids, max_new_tokens):
    reply = []
    for _ in range(max_new_tokens):
        token = int(next_logits(reply).argmax())
        if token in stop_ids:
            break
        reply.append(token)
    return reply


def greedy_recursive(next_logits, stop_ids, max_new_tokens, reply=()):
    if len(reply) == max_new_tokens:
        return list(reply)
    token = max(range(12), key=lambda t: float(next_logits(list(reply))[t]))
    if token in stop_ids:
        return list(reply)
    return greedy_recursive(next_logits, stop_ids, max_new_tokens, (*reply, token))


def looped(*, pick=None, stops=None, keep_stop=False, limit=0, given=None, again=True):
    """A greedy loop with one thing wrong."""
    pick = pick or (lambda logits: logits.argmax())
    stops = stops or (lambda token, stop_ids: token in stop_ids)
    given = given or (lambda reply: reply)

    def answer(next_logits, stop_ids, max_new_tokens):
        reply = []
        for _ in range(max_new_tokens + limit):
            token = int(pick(next_logits(given(reply))))
            if stops(token, stop_ids):
                return [*reply, token] if keep_stop else reply
            if not again and token in reply:
                return reply
            reply.append(token)
        return reply

    return answer


def endless(next_logits, stop_ids, max_new_tokens):
    reply = []
    while True:
        reply.append(int(next_logits(reply).argmax()))


def kv(config, positions, itemsize):
    values = config.num_layers * config.num_kv_heads * config.head_dim
    return 2 * values * positions * itemsize


def kv_from_a_cache(config, positions, itemsize):
    shape = (config.num_layers, 2, config.num_kv_heads, positions, config.head_dim)
    return int(np.prod(shape)) * itemsize


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("03.expand", expand),
        ("03.expand", expand_at_once),
        ("03.expand", lambda ids, p, counts: expand_in_place(list(ids), p, counts)),
        ("03.merge", merge),
        ("03.merge", merge_by_loop),
        ("03.merge", merge_by_counting),
        ("03.greedy", greedy),
        ("03.greedy", greedy_recursive),
        ("03.cache_bytes", kv),
        ("03.cache_bytes", kv_from_a_cache),
        ("03.cache_bytes", lambda *given: np.array([kv(*given)])),
    ],
)
def test_right_answers_pass(name, answer):
    found = verdict(name, answer)
    assert found.state == "passed", found.message


WRONG = [
    ("03.expand", lambda ids, p, c: ids, "nothing was repeated"),
    (
        "03.expand",
        lambda ids, p, c: expand(ids, p, [n + 1 for n in c]),
        "one placeholder too many",
    ),
    ("03.expand", lambda ids, p, c: expand(ids, p, [n - 1 for n in c]), "one placeholder too few"),
    ("03.expand", lambda ids, p, c: expand(ids, p, [*c[:1]] * len(c)), "the first clip's count"),
    ("03.expand", lambda ids, p, c: expand(ids, p, c[::-1]), "in reverse"),
    ("03.expand", lambda ids, p, c: expand(ids, p, [sum(c)] * len(c)), "a run of its own"),
    ("03.expand", expand_in_place, "has changed"),
    (
        "03.expand",
        lambda ids, p, c: (ids[: ids.index(p)] if p in ids else ids) + [p] * sum(c),
        "what comes after the clip is lost",
    ),
    ("03.merge", lambda t, a, w: t, "nothing was written"),
    ("03.merge", lambda t, a, w: written(t[w] + a, w, t), "added to the placeholder"),
    ("03.merge", lambda t, a, w: written(a.flip(0), w, t), "runs backwards"),
    ("03.merge", lambda t, a, w: written(a, w.roll(1), t), "one position too late"),
    ("03.merge", lambda t, a, w: written(a, w.roll(-1), t), "one position too early"),
    ("03.merge", lambda t, a, w: written(a[:1], w, t), "the first audio row"),
    ("03.merge", lambda t, a, w: written(a.mean(0), w, t), "the clip's mean"),
    ("03.merge", merge_block, "in one piece"),
    ("03.merge", merge_in_place, "write into a copy"),
    ("03.merge", lambda t, a, w: torch.cat([t, a]), "does not grow"),
    ("03.merge", lambda t, a, w: written(2 * a, w, t), "only rows where the mask is true"),
    ("03.greedy", looped(pick=lambda logits: logits.argmin()), "the least likely"),
    ("03.greedy", looped(keep_stop=True), "the stop token is part of your reply"),
    (
        "03.greedy",
        looped(stops=lambda token, ids: token == (ids or [-1])[0]),
        "only one of the stop tokens",
    ),
    ("03.greedy", looped(limit=1), "the limit is off by +1"),
    ("03.greedy", looped(limit=-1), "the limit is off by -1"),
    ("03.greedy", looped(given=lambda reply: reply[-1:]), "a part of the reply only"),
    ("03.greedy", looped(given=lambda reply: []), "a part of the reply only"),
    ("03.greedy", looped(again=False), "a repeated token ended the reply"),
    ("03.greedy", looped(stops=lambda token, ids: False), "goes on after a stop token"),
    ("03.greedy", looped(pick=lambda logits: logits.topk(2).indices[1]), "another token than"),
    ("03.greedy", endless, "goes on far past its end"),
    ("03.cache_bytes", lambda c, p, b: kv(c, p, b) / 2, "both keys and values"),
    (
        "03.cache_bytes",
        lambda c, p, b: 2 * c.num_layers * c.d_model * p * b,
        "query heads are counted",
    ),
    ("03.cache_bytes", lambda c, p, b: kv(c, p, b) // c.num_layers, "one layer only"),
    ("03.cache_bytes", lambda c, p, b: kv(c, p, 1), "numbers, not bytes"),
    ("03.cache_bytes", lambda c, p, b: kv(c, p, 8 * b), "bits"),
    ("03.cache_bytes", lambda c, p, b: kv(c, p, b) // c.num_kv_heads, "one head only"),
    ("03.cache_bytes", lambda c, p, b: kv(c, p, b) // c.head_dim, "width of a head is missing"),
    ("03.cache_bytes", lambda c, p, b: kv(c, p * p, b), "the square of the positions"),
    ("03.cache_bytes", lambda c, p, b: kv(c, 1, b) if p else 0, "this is one position"),
    ("03.cache_bytes", lambda c, p, b: 1234.0, "multiply what is kept"),
]


@pytest.mark.parametrize(("name", "answer", "phrase"), WRONG, ids=[f"{n}-{p}" for n, _, p in WRONG])
def test_each_usual_mistake_has_its_own_sentence(name, answer, phrase):
    found = verdict(name, answer)
    assert found.state == "wrong"
    assert phrase in found.message


def test_every_exercise_has_three_planted_mistakes():
    for name in EXERCISES:
        assert sum(wrong[0] == name for wrong in WRONG) >= 3


@pytest.mark.parametrize("name", EXERCISES)
def test_a_stub_is_unfilled_and_garbage_gets_a_sentence(name):
    assert verdict(name, lambda *arguments: None).state == "unfilled"
    assert verdict(name, None).state == "unfilled"
    for garbage in (lambda *arguments: "garbage", lambda *arguments: object(), 7, "text"):
        found = verdict(name, garbage)
        assert found.state == "wrong"
        assert len(found.message.split()) > 5


def test_a_crash_is_named_with_its_words():
    found = verdict("03.merge", lambda t, a, w: t[99])
    assert "your code raised IndexError" in found.message


def test_the_cases_tell_key_value_heads_from_query_heads():
    mini = presets.mini().decoder
    assert mini.num_heads != mini.num_kv_heads
