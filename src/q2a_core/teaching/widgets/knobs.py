"""Knobs under a picture: `Knobs(draw, hop_length=((80, 160, 320), 160))` draws again when one is turned.

However fast a slider is dragged, there are at most four pictures a second, and the last one belongs to where it stands.
"""

import asyncio
import html
import importlib.util
import time
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from q2a_core.errors import Q2AError
from q2a_core.teaching.widgets.still import png, still_bundle, still_html

PER_SECOND = 4.0
"""Most pictures in a second."""


class Pace:
    """Does `work` at most so many times a second; what is asked for too early is done once, when its time has come.

    Outside an event loop nobody is there to do it later, so it is done at once.
    """

    def __init__(self, work: Callable[[], None], per_second: float = PER_SECOND):
        self.work, self.pause = work, 1.0 / per_second
        self.free_at = 0.0
        self.waiting = False

    def ask(self) -> None:
        """Do the work now or as soon as it may be done."""
        if self.waiting:
            return
        left = self.free_at - time.monotonic()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if left <= 0 or loop is None:
            self._do()
        else:
            self.waiting = True
            loop.call_later(left, self._do)

    def _do(self) -> None:
        self.waiting = False
        try:
            self.work()
        finally:
            # counted from the end: a slow picture leaves the kernel as much time again
            self.free_at = time.monotonic() + self.pause


class Knobs(ipywidgets.VBox):
    """Sliders over a picture and its words; `draw(**values)` returns a figure and a sentence about it.

    Each knob is its values and the one to begin with. A Q2AError that `draw` raises is shown as its sentence, and the
    picture stays. `values` are where the knobs stand.
    """

    def __init__(self, draw: Callable[..., tuple[Any, str]], **knobs: tuple[Sequence[Any], Any]):
        self.draw = draw
        self.sliders = {
            name: _slider(name.replace("_", " "), values, start)
            for name, (values, start) in knobs.items()
        }
        self.shown = ipywidgets.HTML()
        self.picture, self.words = b"", ""
        super().__init__([*self.sliders.values(), self.shown])
        self.pace = Pace(self._redraw)
        for slider in self.sliders.values():
            slider.observe(lambda change: self.pace.ask(), "value")
        self.pace.ask()

    @property
    def values(self) -> dict[str, Any]:
        return {name: slider.value for name, slider in self.sliders.items()}

    def _redraw(self) -> None:
        try:
            figure, self.words = self.draw(**self.values)
            self.picture = png(figure)
        except Q2AError as error:
            self.words = str(error)
        self.shown.value = (
            still_html(self.picture, self.words) if self.picture else html.escape(self.words)
        )

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        live = super()._repr_mimebundle_(**options) or {}
        turned = ", ".join(f"{name} {value}" for name, value in self.values.items())
        return live | still_bundle(self.picture, f"{turned}: {self.words}")


def _slider(name: str, values: Sequence[Any], start: Any) -> Any:
    """A slider with its `value`; without anywidget that of ipywidgets, which has no name for a screen reader."""
    if importlib.util.find_spec("anywidget") is not None:
        from q2a_core.teaching.widgets.knob import Knob

        return Knob(name, values, start)
    return ipywidgets.SelectionSlider(
        options=list(values),
        value=start,
        description=name,
        style={"description_width": "9em"},
        layout={"width": "30em"},
    )
