"""`q2a lesson`: the course from the command line."""

import json
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from q2a_core.cli import lesson_end
from q2a_core.errors import Q2AError

app = typer.Typer(
    name="lesson",
    help="The course: list, open, check, reset, quiz, certificate, build, time.",
    no_args_is_help=True,
)
app.command("quiz")(lesson_end.quiz)
app.command("certificate")(lesson_end.certificate)
Number = Annotated[int, typer.Argument(help="Number of the lesson, 0 to 9.", min=0, max=9)]


@app.command("list")
def list_lessons(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
) -> None:
    """Show the lessons, their time, and which exercises you have passed.

    Example: q2a lesson list
    """
    from q2a_core.teaching.checks import exercises_of
    from q2a_core.teaching.course import LESSONS
    from q2a_core.teaching.progress import passed_exercises

    done = passed_exercises()
    rows = []
    for item in LESSONS:
        names = [exercise.id for exercise in exercises_of(item.number)]
        rows.append(
            {
                "number": item.number,
                "title": item.title,
                "claim": item.claim,
                "class_minutes": item.class_minutes,
                "exercises": names,
                "passed": [name for name in names if name in done],
            }
        )
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        minutes = f"{row['class_minutes']} min" if row["class_minutes"] else "at home"
        score = f"{len(row['passed'])} of {len(row['exercises'])} passed"
        typer.echo(f"{row['number']}  {row['title']:<24}{minutes:<9}{score}")
        typer.echo(f"    {row['claim']}")


@app.command("open")
def open_lesson(
    number: Number,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it in a browser.")
    ] = True,
    port: Annotated[int, typer.Option(help="Port of JupyterLab.", min=1, max=65535)] = 8888,
    allow_root: Annotated[
        bool,
        typer.Option("--allow-root", help="As JupyterLab's own: start for root, in a container."),
    ] = False,
) -> None:
    """Open your copy of a lesson in JupyterLab; the copy is made the first time.

    Example: q2a lesson open 1
    """
    from q2a_core.teaching.course import lesson
    from q2a_core.teaching.launch import serve
    from q2a_core.teaching.student_copies import own_copy

    copy = own_copy(lesson(number))
    typer.echo(f"your copy: {copy}")
    command = [sys.executable, "-m", "jupyterlab", str(copy), f"--port={port}"]
    # so that the address it prints, which is copied where no browser opens, leads to the lesson and not to its folder
    command += [f"--LabApp.default_url=/lab/tree/{quote(copy.name)}"]
    command += [] if browser else ["--no-browser"]
    command += ["--allow-root"] if allow_root else []
    raise typer.Exit(serve(command))


@app.command("check")
def check_lesson(
    number: Number,
    notebook: Annotated[
        Path | None,
        typer.Option(
            help="Another notebook than your copy; what passes there is not noted as yours.",
            dir_okay=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Run your copy from top to bottom and show every verdict; exit code 1 unless all pass.

    Example: q2a lesson check 1
    """
    from q2a_core.cli.progress import bar
    from q2a_core.teaching.checks import exercises_of
    from q2a_core.teaching.course import lesson
    from q2a_core.teaching.exercise import MARKS
    from q2a_core.teaching.run_lesson import run_notebook
    from q2a_core.teaching.student_copies import own_copy

    item = lesson(number)
    path = notebook or own_copy(item)
    if not path.is_file():
        raise Q2AError(f"there is no file {path}; expected a notebook")
    with bar("lesson", "cell") as tick:
        result = run_notebook(path, on_cell=tick, practice=notebook is not None)
    names = [exercise.id for exercise in exercises_of(item.number)]
    missing = [name for name in names if name not in result.verdicts]
    right = not result.errors and all(name in result.passed for name in names)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "lesson": item.number,
                    "seconds": round(result.seconds, 1),
                    "verdicts": result.verdicts,
                    "not_checked": missing,
                    "errors": result.errors,
                    "passed": right,
                }
            )
        )
        raise typer.Exit(0 if right else 1)
    for name, verdict in result.verdicts.items():
        typer.echo(f"{MARKS[verdict['state']]} {name}  {verdict['message']}")  # type: ignore[index]
    for name in missing:
        typer.echo(f"? {name}  its check did not run")
    for error in result.errors:
        typer.echo(f"! {error}")
    passed = sum(name in result.passed for name in names)
    typer.echo(f"{passed} of {len(names)} passed in {result.seconds:.0f} s")
    raise typer.Exit(0 if right else 1)


@app.command("reset")
def reset_lesson(number: Number) -> None:
    """Put your copy back as it shipped; what you had is kept beside it.

    Example: q2a lesson reset 1
    """
    from q2a_core.teaching.course import lesson
    from q2a_core.teaching.student_copies import reset

    fresh, kept = reset(lesson(number))
    typer.echo(f"fresh copy: {fresh}")
    if kept is not None:
        typer.echo(f"yours is kept as {kept}")


@app.command("build")
def build(
    number: Annotated[
        int | None, typer.Argument(help="One lesson; all by default.", min=0, max=9)
    ] = None,
) -> None:
    """Write the notebooks from their masters (for authors; needs the dev extra).

    Example: q2a lesson build
    """
    from q2a_core.teaching.course import lesson
    from q2a_core.teaching.masters import build_all

    for path in build_all(None if number is None else lesson(number)):
        typer.echo(str(path))


@app.command("time")
def time_lessons(
    output: Annotated[
        Path | None, typer.Option(help="Another file than the one that ships.", dir_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Run every solution notebook at full length and write the seconds that predictions rest on (for authors).

    Example: q2a lesson time
    """
    from q2a_core.cli.progress import bar
    from q2a_core.teaching.course import Lesson
    from q2a_core.teaching.lesson_times import measure_lessons, write_times
    from q2a_core.teaching.readiness.speed import is_busy

    def tell(item: Lesson, seconds: float) -> None:
        over = "" if seconds <= item.run_seconds else "  longer than stated"
        line = f"{item.number}  {item.title:<24}{seconds:>7.1f} s of {item.run_seconds} s{over}"
        typer.echo(line, err=as_json)

    with bar("lesson", "cell") as tick:
        times = measure_lessons(on_lesson=tell, on_cell=tick)
    if is_busy(times["machine"]):
        load, cores = times["machine"]["load"], times["machine"]["cores"]
        typer.echo(
            f"other programs were computing (load {load} on {cores} cores): time again when it is quiet",
            err=True,
        )
    path = write_times(times, output)
    typer.echo(json.dumps(times) if as_json else f"written: {path}")
