"""One knob of `Knobs` as an anywidget: a slider over a few values that tells a screen reader its name and its value.

The sliders of ipywidgets tell neither. Imports anywidget, so it is imported when knobs are shown.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets


class Knob(anywidget.AnyWidget):
    """A slider; its `value` is one of `values`, and follows the browser as the browser follows it."""

    _esm = (Path(__file__).parent / "knob.js").read_text("utf-8")
    name = traitlets.Unicode().tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    index = traitlets.Int().tag(sync=True)
    value = traitlets.Any()

    def __init__(self, name: str, values: Sequence[Any], start: Any):
        self._values = tuple(values)
        labels = [str(value) for value in self._values]
        super().__init__(name=name, labels=labels, index=self._place(start), value=start)

    def _place(self, value: Any) -> int:
        if value not in self._values:
            raise traitlets.TraitError(f"found {value!r}; expected one of {self._values}")
        return self._values.index(value)

    @traitlets.validate("value")
    def _known_value(self, proposal: Any) -> Any:
        return self._values[self._place(proposal["value"])]

    @traitlets.observe("value")
    def _tell_browser(self, change: Any) -> None:
        self.index = self._place(change["new"])

    @traitlets.observe("index")
    def _told_by_browser(self, change: Any) -> None:
        self.value = self._values[change["new"]]
