"""Planted answers for lesson 04: usual mistakes are caught by name, right answers pass however they are written."""

import math

import pytest
import torch
import torch.nn.functional as F

from q2a_core.teaching.checks import check
from q2a_core.world.wordings import PROMPTS


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))


def right_tags(task, what):
    if task == "transcribe":
        return f"<|startoftranscript|><|{what}|><|transcribe|><|{what}|>"
    if task == "translate":
        return f"<|startoftranscript|><|unknown|><|translate|><|{what}|>"
    return f"<|startofanalysis|><|en|><|question|>is {what}<|answer|>"


WRONG_TAGS = {
    "plain language": lambda task, what: PROMPTS[task].official.replace("<|{}|>", what),
    "in another order": lambda task, what: (
        f"<|startoftranscript|><|transcribe|><|{what}|><|{what}|>"
        if task == "transcribe"
        else right_tags(task, what)
    ),
    "does not depend on what is asked": lambda task, what: right_tags(
        task, "en" if task == "transcribe" else what
    ),
    "has 4 and yours has 3": lambda task, what: right_tags(task, what).replace(
        f"<|transcribe|><|{what}|>", "<|transcribe|>"
    ),
    "both with the bar": lambda task, what: right_tags(task, what).replace("|", ""),
    "was left open": lambda task, what: PROMPTS[task].tags,
    "its tag says unknown": lambda task, what: right_tags(task, what).replace("unknown", what),
    "space between the tags": lambda task, what: right_tags(task, what).replace("><", "> <"),
}


def right_loss(logits, ids, counted):
    logps = logits.log_softmax(-1)[:-1]
    chosen = logps.gather(-1, ids[1:, None])[:, 0]
    return -chosen[counted[1:]].mean()


def loss_in_a_loop(logits, ids, counted):
    total = number = 0
    for place in range(1, len(ids)):
        if counted[place]:
            row = logits[place - 1].double()
            total += float(torch.logsumexp(row, 0) - row[ids[place]])
            number += 1
    return total / number


def each(logits, ids):
    return F.cross_entropy(logits[:-1], ids[1:], reduction="none")


def naive(logits, ids, counted):
    shares = logits.exp() / logits.exp().sum(-1, keepdim=True)
    chosen = shares[:-1].gather(-1, ids[1:, None])[:, 0]
    return -chosen[counted[1:]].log().mean()


WRONG_LOSSES = {
    "logits at position t are about": lambda x, ids, c: F.cross_entropy(x[c], ids[c]),
    "the mask is off by one": lambda x, ids, c: each(x, ids)[c[:-1]].mean(),
    "divided by all positions": lambda x, ids, c: each(x, ids)[c[1:]].sum() / len(ids),
    "the prompt is counted too": lambda x, ids, c: each(x, ids).mean(),
    "this is the sum": lambda x, ids, c: each(x, ids)[c[1:]].sum(),
    "the sign": lambda x, ids, c: -right_loss(x, ids, c),
    "in bits": lambda x, ids, c: right_loss(x, ids, c) / math.log(2),
    "a mean of probabilities": lambda x, ids, c: (-each(x, ids)[c[1:]]).exp().mean(),
    "raw logits": lambda x, ids, c: -x[:-1].gather(-1, ids[1:, None])[:, 0][c[1:]].mean(),
    "over the vocabulary, the last axis": lambda x, ids, c: (
        -x.log_softmax(0)[:-1].gather(-1, ids[1:, None])[:, 0][c[1:]].mean()
    ),
    "too large for a float32": naive,
}


def right_average(micro_batches):
    tokens = [loss for batch in micro_batches for loss in batch]
    return sum(tokens) / len(tokens)


def average_by_tensors(micro_batches):
    return torch.cat([torch.tensor(batch, dtype=torch.float64) for batch in micro_batches]).mean()


WRONG_AVERAGES = {
    "a mean of means": lambda batches: sum(sum(b) / max(len(b), 1) for b in batches) / len(batches),
    "by the number of micro-batches": lambda batches: sum(map(sum, batches)) / len(batches),
    "this is the sum of all losses": lambda batches: sum(map(sum, batches)),
    "last micro-batch alone": lambda batches: sum(batches[-1]) / len(batches[-1]),
    "with the square of their size": lambda batches: (
        sum(sum(b) * len(b) for b in batches) / sum(len(b) ** 2 for b in batches)
    ),
    "holds no counted token at all": lambda batches: (
        sum(sum(b) / len(b) * len(b) for b in batches) / sum(map(len, batches))
    ),
}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("04.tags", right_tags),
        ("04.tags", lambda task, what: PROMPTS[task].tags.replace("{}", what)),
        ("04.loss", right_loss),
        ("04.loss", loss_in_a_loop),
        ("04.average", right_average),
        ("04.average", average_by_tensors),
    ],
)
def test_right_answers_pass(name, answer):
    verdict = check(name, answer)
    assert verdict, verdict


@pytest.mark.parametrize(
    ("name", "phrase", "answer"),
    [
        *(("04.tags", *pair) for pair in WRONG_TAGS.items()),
        *(("04.loss", *pair) for pair in WRONG_LOSSES.items()),
        *(("04.average", *pair) for pair in WRONG_AVERAGES.items()),
    ],
)
def test_planted_mistakes_are_named(name, phrase, answer):
    verdict = check(name, answer)
    assert verdict.state == "wrong"
    assert phrase in verdict.message


@pytest.mark.parametrize("name", ["04.tags", "04.loss", "04.average"])
def test_stubs_and_garbage_get_a_sentence(name):
    assert check(name, lambda *args: None).state == "unfilled"
    assert check(name, None).state == "unfilled"
    for garbage in (lambda *args: [[1], {}], lambda *args: {"loss": 1}, 5):
        verdict = check(name, garbage)
        assert verdict.state == "wrong"
        assert "expected" in verdict.message


def test_the_loss_is_the_model_s_own(tiny_model):
    from q2a_core.model import IGNORE_INDEX

    ids = torch.tensor([5, 9, 40, 7, 12, 80, 6])
    counted = torch.tensor([False, False, True, False, True, True, True])
    labels = ids.masked_fill(~counted, IGNORE_INDEX)
    with torch.inference_mode():
        out = tiny_model(ids[None], labels=labels[None])
    torch.testing.assert_close(right_loss(out.logits[0], ids, counted), out.loss)
