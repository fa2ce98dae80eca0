"""`show_player(clip)`: the workbench's player in a notebook, with the chosen audio token handed back to Python.

It is the same script. anywidget carries it; where that is not installed the player stands in a frame of its own, says
so, and hands nothing back.
"""

import html
import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from q2a_core.audio import Waveform, load_waveform
from q2a_core.inspection.player import NotebookPlayer, describe_view
from q2a_core.inspection.trace import ClipView, view_clip
from q2a_core.teaching.widgets.still import png, still_bundle, still_html

if TYPE_CHECKING:
    from q2a_core.teaching.widgets.live_player import LivePlayer

NO_TOKEN = (
    "The token that you click is not handed to Python here: that needs anywidget "
    "(pip install anywidget), then a restart of JupyterLab."
)


def show_player(
    clip: Any, *, sample_rate: int | None = None, name: str | None = None, token: int | None = None
) -> "LivePlayer | FramedPlayer":
    """The player of a clip, to end a cell with; its `token` is the audio token that was clicked last, or None.

    `clip` is whatever `load_waveform` takes (an array needs its `sample_rate`), a `Waveform`, or a `Resynthesis` of the
    front-end lab. `token` is chosen from the start. Raises AudioError, and ValueError for a token that does not exist.
    """
    whole = clip if hasattr(clip, "samples") else load_waveform(clip, sample_rate=sample_rate)
    view = view_clip(whole) if isinstance(whole, Waveform) else whole.view
    name = name or str(getattr(whole, "name", "the clip"))
    if token is not None and not 0 <= token < view.audio_tokens:
        raise ValueError(
            f"token {token} was asked for; expected 0 to {view.audio_tokens - 1}, the clip's audio tokens"
        )
    if importlib.util.find_spec("anywidget") is None:
        return FramedPlayer(view, whole.samples, name=name, token=token)
    from q2a_core.teaching.widgets.live_player import LivePlayer

    return LivePlayer(view, whole.samples, name=name, token=token)


class FramedPlayer:
    """The player without anywidget: it sounds and shows the same, and `token` stays as it was given."""

    def __init__(self, view: ClipView, samples: np.ndarray, *, name: str, token: int | None = None):
        self.view, self.samples, self.name, self.token = view, samples, name, token

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        picture, words = still_player(self.view, self.name)
        frame = NotebookPlayer(self.view, self.samples, name=self.name)._repr_html_()
        live = (
            f"{frame}<small>{html.escape(NO_TOKEN)}</small>"
            f"<details><summary>the same as a picture</summary>{still_html(picture, words)}</details>"
        )
        return still_bundle(picture, words) | {"text/html": live}


def still_player(view: ClipView, name: str) -> tuple[bytes, str]:
    """The player's static half: PNG bytes and the words for it."""
    from q2a_core.inspection.figures.clip import figure_view

    return png(figure_view(view, title=name)), describe_view(view, name=name)
