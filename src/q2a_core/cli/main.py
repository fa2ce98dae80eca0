"""`q2a`: the group of commands, and how errors leave it.

A user's mistake, a package that is missing or a file that the system refuses is one line on standard error and exit
code 2; Ctrl-C is exit code 130. What is printed is UTF-8 in a file or a pipe; a terminal keeps its own encoding, and
shows ? for what that lacks.
"""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from q2a_core.cli import ask, bundle, compare, lesson, manage, measure, train, world
from q2a_core.errors import Q2AError, in_words

app = typer.Typer(
    name="q2a",
    help="See, hear, change and train every step of Qwen2-Audio, on a laptop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("workbench")(ask.workbench)
app.command("ask")(ask.ask)
app.command("synth")(world.synth)
app.add_typer(train.app, name="train")
app.command("eval")(measure.evaluate)
app.command("compare")(compare.compare)
app.command("bench")(measure.bench)
app.command("trace")(world.trace)
app.add_typer(lesson.app, name="lesson")
app.command("bundle")(bundle.bundle)
app.command("doctor")(manage.doctor)
app.command("info")(manage.info)
app.command("clean")(manage.clean)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from q2a_core import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    _speak_unicode()
    try:
        app()
    except Q2AError as error:
        typer.echo(f"q2a: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("q2a: stopped", err=True)
        sys.exit(130)
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "q2a_core"):
            raise
        reason = " ".join(str(error).split())
        typer.echo(
            f"q2a: the package {package} is missing or broken ({reason}); run q2a doctor, which says what to install",
            err=True,
        )
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        typer.echo(f"q2a: {in_words(error)}", err=True)
        sys.exit(2)


def _speak_unicode() -> None:
    """Let no stream refuse a letter."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="replace")


if __name__ == "__main__":
    main()
