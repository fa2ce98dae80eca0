"""Files that a command writes at its end: looked at before minutes are spent, written after the result was printed."""

import json
from pathlib import Path

import typer

from q2a_core.errors import Q2AError
from q2a_core.files import check_writable, write_whole

__all__ = ["check_apart", "check_unused", "check_writable", "hand_over"]


def check_apart(files: dict[str, Path | None]) -> None:
    """Raises Q2AError where two options, by name, are the same file: one would be written over the other."""
    seen: dict[Path, str] = {}
    for option, path in files.items():
        if path is None:
            continue
        place = path.resolve()
        if place in seen:
            raise Q2AError(
                f"{path.name} is given for {seen[place]} and for {option}; expected two different files"
            )
        seen[place] = option


def check_unused(folder: Path, *, replace: bool) -> None:
    """Raises Q2AError where a checkpoint would take the place of another one unasked."""
    if (folder / "config.json").exists() and not replace:
        raise Q2AError(
            f"{folder} already holds a checkpoint; choose another folder, or write over it with --replace"
        )


def hand_over(report: dict, table: str, output: Path | None, as_json: bool) -> None:
    """Print the report, as JSON or as its table, and then write it, so that a full disk loses only the file."""
    text = json.dumps(report, indent=1, ensure_ascii=False)
    typer.echo(text if as_json else table)
    if output is None:
        return
    try:
        # a name on disk need not be text; JSON can hold its odd bytes escaped
        write_whole(output, (text + "\n").encode("utf-8", errors="backslashreplace"))
    except OSError as error:
        raise Q2AError(
            f"{output} could not be written: {error.strerror}; the result stands above"
        ) from error
