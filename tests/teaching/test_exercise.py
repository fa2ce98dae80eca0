"""Verdicts on what answers do beside being right or wrong: nothing, a forgotten return, a flood of prints."""

import pytest

from q2a_core.teaching.checks import exercise
from q2a_core.teaching.exercise import judged
from q2a_core.teaching.first_lines import MOST_LINES


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


def test_a_wrong_count_is_asked_for_a_few_lengths_only():
    asked = []

    def wrong(samples):
        asked.append(samples)
        return samples // 160, samples // 320, samples // 640

    found = judged(exercise("01.lengths"), wrong)
    assert "a hop that has begun counts" in found.message
    assert len(asked) < 20
    assert found.rows
