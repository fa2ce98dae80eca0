"""Printing while an answer is judged: a check may call it half a million times, and a notebook drowns in that."""

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import TextIO

MOST_LINES, MOST_CHARACTERS = 20, 4000


class FirstLines(io.TextIOBase):
    """Passes on what is written until MOST_LINES or MOST_CHARACTERS are through, and counts what comes after that."""

    def __init__(self, target: TextIO):
        self.target = target
        self.lines = self.characters = self.dropped_lines = self.dropped_characters = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        kept = ""
        if self.lines < MOST_LINES and self.characters < MOST_CHARACTERS:
            kept = "".join(text.splitlines(keepends=True)[: MOST_LINES - self.lines])
            kept = kept[: MOST_CHARACTERS - self.characters]
            self.target.write(kept)
            self.lines += kept.count("\n")
            self.characters += len(kept)
        self.dropped_lines += text.count("\n", len(kept))
        self.dropped_characters += len(text) - len(kept)
        return len(text)

    def flush(self) -> None:
        self.target.flush()


@contextlib.contextmanager
def first_lines() -> Iterator[None]:
    """Keep only the first lines printed inside, and say at the end how many were left out."""
    limited = FirstLines(sys.stdout)
    try:
        with contextlib.redirect_stdout(limited):
            yield
    finally:
        if limited.dropped_lines:
            limited.target.write(
                f"... {limited.dropped_lines:,} more lines printed and not shown\n"
            )
        elif limited.dropped_characters:
            count = f"{limited.dropped_characters:,}"
            limited.target.write(f"... {count} more characters printed and not shown\n")
