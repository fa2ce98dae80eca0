"""Planted answers for lesson 05: usual mistakes are caught by name, right answers pass however they are written."""

import numpy as np
import pytest
import torch

from q2a_core.model import IGNORE_INDEX
from q2a_core.teaching.checks import check

END = "<|im_end|>"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))


def right_mask(turns):
    mask = []
    for role, pieces in turns:
        first, last = pieces.index("\n") + 1, len(pieces) - 1 - pieces[::-1].index(END)
        mask += [role == "assistant" and first <= k <= last for k in range(len(pieces))]
    return mask


def mask_by_state(turns):
    mask = []
    for role, pieces in turns:
        speaks = False
        for piece in pieces:
            mask.append(speaks)
            if piece == "\n" and role == "assistant" and not speaks:
                speaks = True
            elif piece == END:
                speaks, role = False, "over"
    return np.array(mask)


def ruled(rule):
    """A mask from a rule over (role, pieces, place, whether it is right)."""

    def answer(turns):
        mask, right, start = [], right_mask(turns), 0
        for role, pieces in turns:
            for k in range(len(pieces)):
                mask.append(bool(rule(role, pieces, k, right[start + k])))
            start += len(pieces)
        return mask

    return answer


def only(which):
    def answer(turns):
        spoken = [k for k, (role, _) in enumerate(turns) if role == "assistant"]
        right = right_mask(turns)
        mask, start = [], 0
        for k, (_, pieces) in enumerate(turns):
            part = right[start : start + len(pieces)]
            mask += part if k == spoken[which] else [False] * len(pieces)
            start += len(pieces)
        return mask

    return answer


def from_last_line(turns):
    mask = []
    for role, pieces in turns:
        first = max(k for k, piece in enumerate(pieces[:-1]) if piece == "\n")
        mask += [role == "assistant" and first < k <= pieces.index(END) for k in range(len(pieces))]
    return mask


def up_to_line(turns):
    mask = []
    for role, pieces in turns:
        breaks = [k for k, piece in enumerate(pieces) if piece == "\n"]
        mask += [
            role == "assistant" and breaks[0] < k < min([*breaks[1:], len(pieces)])
            for k in range(len(pieces))
        ]
    return mask


WRONG_MASKS = {
    "the header of the turn is counted": ruled(
        lambda role, pieces, k, kept: role == "assistant" and k <= len(pieces) - 2
    ),
    "the whole turn of the assistant": ruled(lambda role, pieces, k, kept: role == "assistant"),
    "generation stops before it": ruled(
        lambda role, pieces, k, kept: kept or (role == "assistant" and k == len(pieces) - 1)
    ),
    "never stops": ruled(lambda role, pieces, k, kept: kept and pieces[k] != END),
    "the end token of every turn": ruled(lambda role, pieces, k, kept: kept or pieces[k] == END),
    "learn to ask instead of to answer": ruled(
        lambda role, pieces, k, kept: kept or role == "user"
    ),
    "only the last answer": only(-1),
    "only the first answer": only(0),
    "everything is counted": ruled(lambda *args: True),
    "the wrong way round": ruled(lambda role, pieces, k, kept: not kept),
    "off by one, to the left": lambda turns: [*right_mask(turns)[1:], False],
    "off by one, to the right": lambda turns: [False, *right_mask(turns)[:-1]],
    "loses its first lines": from_last_line,
    "is cut at it": up_to_line,
    "every token of every turn needs one": lambda turns: right_mask(turns[-1:]),
}


def right_labels(ids, mask):
    return [token if kept else IGNORE_INDEX for token, kept in zip(ids, mask, strict=True)]


WRONG_LABELS = {
    "an id like any other": lambda ids, mask: [t * k for t, k in zip(ids, mask, strict=True)],
    "no value that the loss skips": lambda ids, mask: [
        t if k else -1 for t, k in zip(ids, mask, strict=True)
    ],
    "will move them once more": lambda ids, mask: [*right_labels(ids, mask)[1:], IGNORE_INDEX],
    "the wrong way round": lambda ids, mask: right_labels(ids, [not k for k in mask]),
    "the ids of all tokens": lambda ids, mask: ids,
    "leave uncounted tokens in their place": lambda ids, mask: [
        t for t, k in zip(ids, mask, strict=True) if k
    ],
}


def right_control(score, labels, rng, times):
    return float(np.mean([score(rng.permutation(labels)) for _ in range(times)]))


def control_on_copies(score, labels, rng, times):
    total = 0.0
    for _ in range(times):
        copy = np.array(labels)
        rng.shuffle(copy)
        total += score(copy) / times
    return np.float64(total)


def in_place(score, labels, rng, times):
    scores = []
    for _ in range(times):
        rng.shuffle(labels)
        scores.append(score(labels))
    return np.mean(scores)


def once(score, labels, rng, times):
    shuffled = rng.permutation(labels)
    return np.mean([score(shuffled) for _ in range(times)])


WRONG_CONTROLS = {
    "shuffled in place": in_place,
    "drawn anew": lambda score, labels, rng, times: np.mean(
        [score(rng.integers(0, 2, len(labels))) for _ in range(times)]
    ),
    "the probe itself, not its control": lambda score, labels, rng, times: np.mean(
        [score(labels) for _ in range(times)]
    ),
    "use `times`": lambda score, labels, rng, times: score(rng.permutation(labels)),
    "was the same one": once,
    "the best of the shuffles": lambda score, labels, rng, times: max(
        score(rng.permutation(labels)) for _ in range(times)
    ),
    "the sum over the shuffles": lambda score, labels, rng, times: sum(
        score(rng.permutation(labels)) for _ in range(times)
    ),
    "the last shuffle alone": lambda score, labels, rng, times: [
        score(rng.permutation(labels)) for _ in range(times)
    ][-1],
    "score was never called": lambda score, labels, rng, times: 0.5,
    "of another length": lambda score, labels, rng, times: score(rng.permutation(labels)[:3]),
}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("05.mask", right_mask),
        ("05.mask", mask_by_state),
        ("05.mask", lambda turns: list(torch.tensor(right_mask(turns)))),
        ("05.labels", right_labels),
        ("05.labels", lambda ids, mask: np.where(mask, ids, IGNORE_INDEX)),
        ("05.control", right_control),
        ("05.control", control_on_copies),
    ],
)
def test_right_answers_pass(name, answer):
    verdict = check(name, answer)
    assert verdict, verdict


@pytest.mark.parametrize(
    ("name", "phrase", "answer"),
    [
        *(("05.mask", *pair) for pair in WRONG_MASKS.items()),
        *(("05.labels", *pair) for pair in WRONG_LABELS.items()),
        *(("05.control", *pair) for pair in WRONG_CONTROLS.items()),
    ],
)
def test_planted_mistakes_are_named(name, phrase, answer):
    verdict = check(name, answer)
    assert verdict.state == "wrong"
    assert phrase in verdict.message


@pytest.mark.parametrize("name", ["05.mask", "05.labels", "05.control"])
def test_stubs_and_garbage_get_a_sentence(name):
    assert check(name, lambda *args: None).state == "unfilled"
    for garbage in (lambda *args: "mask", lambda *args: {"a": 1}, 5):
        verdict = check(name, garbage)
        assert verdict.state == "wrong"
        assert "expected" in verdict.message or "never called" in verdict.message


def test_turns_are_the_dialogue_cut_in_pieces():
    from q2a_core.teaching.turns import turns_of
    from q2a_core.text import user_message
    from q2a_core.world.mini_tokenizer import mini_chat_format

    chat_format = mini_chat_format()
    messages = [
        user_message("Is there a dog?", clips=1),
        {"role": "assistant", "content": "No, there is no dog."},
        user_message("Are you sure?"),
        {"role": "assistant", "content": "Yes."},
    ]
    turns = turns_of(messages, chat_format, [7])
    dialogue = chat_format.dialogue(messages, [7])
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user", "assistant"]
    pieces = [piece for turn in turns for piece in turn.pieces]
    assert pieces == [chat_format.tokenizer.piece(token) for token in dialogue.input_ids]
    assert [kept for turn in turns for kept in turn.mask] == dialogue.loss_mask
