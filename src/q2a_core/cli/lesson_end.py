"""`q2a lesson quiz` and `q2a lesson certificate`: how a course ends."""

import json
from pathlib import Path
from typing import Annotated

import typer

from q2a_core.errors import Q2AError


def quiz(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print your kept score as JSON and ask nothing.")
    ] = False,
) -> None:
    """Ten questions over the course, every option explained; your best score is kept for the certificate.

    Example: q2a lesson quiz
    """
    from q2a_core.teaching.quiz.exit_quiz import (
        LETTERS,
        chosen,
        explained,
        graded,
        keep_answers,
        kept_answers,
        questions,
        shuffled,
    )

    if as_json:
        answers = kept_answers()
        result = graded(answers)
        typer.echo(json.dumps({"taken": bool(answers), "right": result.right, "of": result.total}))
        return
    answers = {}
    for number, item in enumerate(questions(), start=1):
        typer.echo(f"\n{number} of {len(questions())}. {item.text}")
        for letter, option in zip(LETTERS, shuffled(item), strict=False):
            typer.echo(f"  {letter}) {option.text}")
        option = None
        while option is None:
            try:
                option = chosen(item, typer.prompt("your answer"))
            except Q2AError as error:
                typer.echo(str(error))
        answers[item.id] = option.text
        for mark, text, why in explained(item, option):
            typer.echo(f"{mark} {text}\n     {why}")
    typer.echo(f"\n{keep_answers(answers)} right")


def certificate(
    name: Annotated[str, typer.Option(help="Your name, as it shall stand there.")] = "",
    output: Annotated[
        Path | None, typer.Option(help="An .html or .md file; your lessons folder by default.")
    ] = None,
    verify: Annotated[
        Path | None, typer.Option(help="Check this certificate instead of writing one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Write a certificate of the checks passed and the quiz, with a fingerprint; or verify one.

    The fingerprint shows whether the file was changed. It is no proof of who wrote it.

    Example: q2a lesson certificate --name "Ada Lovelace"
    """
    from q2a_core.teaching import certificate as certificates

    if verify is not None:
        if name or output is not None:
            raise Q2AError("--verify only reads a certificate; leave --name and --output out")
        record = certificates.verify(verify)
        if as_json:
            typer.echo(json.dumps({**record, "fingerprint": certificates.fingerprint(record)}))
            return
        typer.echo(
            f"unchanged since it was written; fingerprint {certificates.fingerprint(record)}"
        )
        typer.echo("this is a fingerprint, no proof of identity: anybody can make one")
        return
    path = certificates.write_certificate(name, output)
    record = certificates.verify(path)
    if as_json:
        record = {**record, "fingerprint": certificates.fingerprint(record), "file": str(path)}
        typer.echo(json.dumps(record))
        return
    checks = record["class_checks"]
    typer.echo(f"{checks['passed']} of {checks['of']} checks of the class's lessons passed")
    typer.echo(f"written: {path}")
    if record["quiz"] is None:
        typer.echo("the exit quiz is not in it yet: q2a lesson quiz")
