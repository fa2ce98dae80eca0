"""What Ctrl-C means to `q2a train`: at once while a run is prepared, after the micro-batch at hand once it trains.

A second Ctrl-C always acts at once: what a run has saved is whole at any moment.
"""

import signal
from types import TracebackType

import typer

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGBREAK") if hasattr(signal, name)]
"""Ctrl-C, and what Windows can send to a run in the background."""
INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""


class Stopping:
    """A context in which a run is prepared and trained; an interrupt leaves it as one line and exit code 130."""

    def __init__(self) -> None:
        self.asked = False
        """Whether the training is to end after its micro-batch."""
        self._training = False
        self._previous: dict[int, object] = {}

    def begin(self) -> None:
        """The preparations are over: the next Ctrl-C asks, and the one after it acts."""
        self._training = True

    def __enter__(self) -> "Stopping":
        # set even where an interrupt was ignored: a run in the background of a script can be stopped too
        self._previous = {number: signal.signal(number, self._interrupt) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        if isinstance(error, KeyboardInterrupt):
            typer.echo(f"q2a: {self._last_words()}", err=True)
            raise typer.Exit(INTERRUPTED) from None

    def _interrupt(self, *_: object) -> None:
        if self.asked or not self._training:
            raise KeyboardInterrupt
        self.asked = True
        typer.echo("stopping after this micro-batch; Ctrl-C again stops at once ...", err=True)

    def _last_words(self) -> str:
        if self._training:
            return "stopped at once; go on with --resume from what was saved last"
        return (
            "stopped before the training began; what was spoken is kept, the same command goes on"
        )
