"""Lesson 00: how many tokens a clip gives, guessed before it is computed."""

from typing import Any

from q2a_core import lengths
from q2a_core.teaching.checks.numbers import number
from q2a_core.teaching.exercise import Exercise, Verdict, call, passed, wrong

CASES = (1.0, 2.5, 4.0, 9.6)


def judge_tokens(answer: Any) -> Verdict:
    """Audio tokens of so many seconds, to one token: edges are lesson 01's."""
    rows, right = [], True
    for seconds in CASES:
        found = number(call(answer, seconds))
        due = lengths.audio_tokens(lengths.mel_frames(round(seconds * lengths.SAMPLE_RATE)))
        rows.append((f"{seconds} s", f"{found:g}", f"{due}"))
        right = right and abs(found - due) <= 1
    if right:
        return passed("25 tokens a second, whatever is heard.", rows=tuple(rows))
    ratio = number(call(answer, 4.0)) / 100
    if abs(ratio - 4) < 0.1:
        message = "these are mel frames, 100 a second: the encoder halves them twice after that."
    elif abs(ratio - 2) < 0.1:
        message = (
            "these are encoder frames, 50 a second: one halving, in the pooling, is still to come."
        )
    elif ratio > 100:
        message = "these are samples: 160 of them make a mel frame, and four mel frames a token."
    elif abs(ratio * 25 - 1) < 0.1:
        message = "this is one token a second; a token stands for 40 ms."
    else:
        message = (
            "follow the chain: 16,000 samples a second, a frame each 160 samples, two halvings."
        )
    return wrong(message, rows=tuple(rows))


EXERCISES = (
    Exercise(
        id="00.tokens",
        title="How many tokens?",
        difficulty=1,
        importance=4,
        minutes=2,
        hint="16,000 samples a second; a mel frame every 160 samples; halved once by the second convolution and "
        "once by the pooling.",
        judge=judge_tokens,
    ),
)
