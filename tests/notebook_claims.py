"""What a solution must show when it runs, read from what its cells print: properties, no figures of one model."""

import ast
import re
from collections.abc import Callable
from typing import Any

LEAST_HARM = 0.3
"""Nats that the word of lesson 07 must lose at least: a quarter of its probability."""


def printed(notebook: Any) -> str:
    """Everything that the cells print or display as text."""
    parts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                parts.append(output.text)
            elif "data" in output:
                parts.append(
                    str(output.data.get("text/markdown") or output.data.get("text/plain", ""))
                )
    return "\n".join(parts)


def replies_differ_when_hot(text: str) -> None:
    """Lesson 03: temperature 0 always says the same, the highest one does not."""
    found = {
        float(number): ast.literal_eval(replies)
        for number, replies in re.findall(r"^temperature ([\d.]+): (\[.*\])$", text, re.MULTILINE)
    }
    assert len(found) == 3
    assert len(set(found[0.0])) == 1
    assert len(set(found[max(found)])) > 1


def luck_goes_far_with_yes_or_no(text: str) -> None:
    """Lesson 04: with exchanged clips more answers are right than a coin would give, and fewer than with their own."""
    ways = re.findall(r"^(.+?) +([\d.]+)%  \(95 %: .* clips\)$", text, re.MULTILINE)
    share = {way: float(value) for way, value in ways}
    assert share["official wording"] > share["official wording, clips exchanged"] > 50
    assert share["a question about nothing"] == 0


def looks_and_causes_part(text: str) -> None:
    """Lesson 07: the chosen word has two different windows, and one of them matters to it."""
    [word] = re.findall(r"the word looked at: '(.*)'", text)
    line = rf"^{re.escape(word)} +read most at ([\d.]+) s, hurt most at ([\d.]+) s: ([-\d.]+) nats"
    places = re.findall(line, text, re.MULTILINE)
    assert any(read != hurt and float(harm) >= LEAST_HARM for read, hurt, harm in places)


def errors_have_an_interval_that_shrinks(text: str) -> None:
    """Lesson 08: there are errors, more clips narrow their interval, and both figures are the table's."""
    line = r"^ *(\d+) clips: ([\d.]+)%, ([\d.]+)% to ([\d.]+)%$"
    rows = [tuple(map(float, row)) for row in re.findall(line, text, re.MULTILINE)]
    assert len(rows) == 3
    widths = [high - low for _, _, low, high in rows]
    assert all(rate > 0 for _, rate, _, _ in rows)
    assert widths[0] > widths[1] > widths[2] > 0
    [suite] = re.findall(r"^(.*), wrong replies first:$", text, re.MULTILINE)
    [rate] = re.findall(r"^corpus ([\d.]+)%", text, re.MULTILINE)
    assert f"| {suite} | WER | {rate}% (" in text
    [again] = re.findall(r"^the replies: ([\d.]+)", text, re.MULTILINE)
    assert f"| translation en-de | BLEU | {again} (" in text
    [nothing] = re.findall(r"^no error in +1000 clips: (.*)$", text, re.MULTILINE)
    assert "bootstrap 0.0% to 0.0%" in nothing
    assert "up to 0.3% of clips" in nothing


def maxima_grow_late(text: str) -> None:
    """Lesson 09: in the tile of queries that is shown a later tile of keys raises a maximum; the old sum shrinks."""
    line = r"^keys \((\d+), \d+\): maximum grew in +(\d+) rows, smallest factor ([\d.]+)"
    tiles = re.findall(line, text, re.MULTILINE)
    assert tiles[0][0] == "0"
    assert any(int(rows) and float(factor) < 1 for _, rows, factor in tiles[1:])


CLAIMS: dict[str, Callable[[str], None]] = {
    "03": replies_differ_when_hot,
    "04": luck_goes_far_with_yes_or_no,
    "07": looks_and_causes_part,
    "08": errors_have_an_interval_that_shrinks,
    "09": maxima_grow_late,
}
