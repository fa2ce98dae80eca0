"""Verdicts on what answers do beside being right or wrong: nothing, a forgotten return, a flood of prints."""

import sys

import numpy as np
import pytest
import torch

from q2a_core.errors import Q2AError
from q2a_core.teaching.checks import exercise
from q2a_core.teaching.exercise import judged
from q2a_core.teaching.first_lines import MOST_CHARACTERS, MOST_LINES


def docstring_only(seconds):
    """Only words."""


def dots(seconds): ...


def returns_none(seconds):
    return None


def raises(seconds):
    raise NotImplementedError


@pytest.mark.parametrize("stub", [docstring_only, dots, returns_none, raises, lambda seconds: ...])
def test_an_empty_body_is_a_stub(stub):
    found = judged(exercise("00.tokens"), stub)
    assert found.state == "unfilled"
    assert "Hint: " in found.message


def test_what_torch_does_not_implement_is_no_stub():
    found = judged(exercise("00.tokens"), lambda seconds: torch.tensor([1, 2]).softmax(-1))
    assert found.state == "wrong"
    assert "your code raised NotImplementedError" in found.message
    assert "not implemented for 'Long'" in found.message


def test_an_answer_that_leaves_the_program_gets_a_verdict():
    found = judged(exercise("00.tokens"), lambda seconds: sys.exit("done"))
    assert found.state == "wrong"
    assert found.message.startswith("your code raised SystemExit: done")


@pytest.mark.parametrize("name", ["00.tokens", "03.cache_bytes", "07.patch_effect", "08.memory"])
@pytest.mark.parametrize("several", [[1.0, 2.0, 3.0], torch.ones(3), np.zeros((1, 3))])
def test_several_values_in_the_place_of_one_are_counted(name, several):
    found = judged(exercise(name), lambda *arguments: several)
    assert found.state == "wrong"
    assert "found 3 values, expected one real number" in found.message


def test_an_exercise_of_an_older_copy_says_how_to_get_todays():
    with pytest.raises(Q2AError, match=r"the lesson has: 00\.tokens.*q2a lesson reset 0"):
        exercise("00.gone")


def test_a_forgotten_return_is_no_stub():
    def forgot(seconds):
        tokens = 25 * seconds  # noqa: F841

    found = judged(exercise("00.tokens"), forgot)
    assert found.state == "wrong"
    assert "is a `return` missing?" in found.message


@pytest.mark.parametrize("answer", ["text", 3, [1, 2, 3]])
def test_a_value_in_the_place_of_the_function_is_named(answer):
    found = judged(exercise("01.lengths"), answer)
    assert found.state == "wrong"
    assert f"found a value of type {type(answer).__name__}, expected your function" in found.message


def test_prints_while_judging_are_cut_and_counted(capsys):
    def talks(samples):
        print("samples", samples)
        mel = -(-samples // 160)
        encoder = (mel + 1) // 2
        return mel, encoder, encoder // 2

    assert judged(exercise("01.lengths"), talks)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["samples 16000", "samples 1"]
    assert len(lines) == MOST_LINES + 1
    assert lines[-1].startswith("... 479,9")


def test_prints_without_a_line_break_are_cut_and_counted_too(capsys):
    assert not judged(exercise("00.tokens"), lambda seconds: print("x" * 3000, end="") or 3)
    out = capsys.readouterr().out
    assert len(out) < MOST_CHARACTERS + 100
    assert out.endswith("... 11,000 more characters printed and not shown\n")


def test_a_wrong_count_is_asked_for_a_few_lengths_only():
    asked = []

    def wrong(samples):
        asked.append(samples)
        return samples // 160, samples // 320, samples // 640

    found = judged(exercise("01.lengths"), wrong)
    assert "a hop that has begun counts" in found.message
    assert len(asked) < 20
    assert found.rows
