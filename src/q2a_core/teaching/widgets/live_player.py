"""The player as an anywidget: script, style, sound and pictures travel through the kernel's own channel.

It lives in a shadow root, so that neither JupyterLab's style nor the player's reaches the other, and keeps its keys to
itself: 1, 2 and 3 are headings to JupyterLab. Imports anywidget, so it is imported when a player is shown.
"""

from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from q2a_core.inspection.player import player_css, player_data, player_js
from q2a_core.inspection.trace import ClipView
from q2a_core.teaching.widgets.player import still_player
from q2a_core.teaching.widgets.still import still_bundle

SHOWN_WORDS = """
.summary { position: static; width: auto; height: auto; clip-path: none; margin: 0 0 8px; font-size: 12px;
  color: var(--quiet); }
:host { --ink: var(--jp-content-font-color1, #2f2d2b); --line: var(--jp-border-color1, #d9d7d3);
  --st-background-color: var(--jp-layout-color0, #fff); }
"""
"""In a notebook the words stand beside the pictures, and the colours follow its theme."""


class LivePlayer(anywidget.AnyWidget):
    """The player; `token` follows the clicks, and a token that is set from Python is chosen in the player."""

    _esm = player_js() + (Path(__file__).parent / "live_player.js").read_text("utf-8")
    clip = traitlets.Dict().tag(sync=True)
    style_sheet = traitlets.Unicode(player_css() + SHOWN_WORDS).tag(sync=True)
    token = traitlets.Int(None, allow_none=True).tag(sync=True)

    def __init__(self, view: ClipView, samples: np.ndarray, *, name: str, token: int | None = None):
        super().__init__(clip=player_data(view, samples, name=name), token=token)
        self.view, self.samples, self.name = view, samples, name

    @traitlets.validate("token")
    def _known_token(self, proposal: Any) -> int | None:
        count = self.clip["tokens"]["count"] if self.clip else None
        value = proposal["value"]
        if value is not None and count is not None and not 0 <= value < count:
            raise traitlets.TraitError(
                f"token {value} was chosen; expected 0 to {count - 1}, the clip's audio tokens"
            )
        return value

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        live, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return live | still_bundle(*still_player(self.view, self.name)), metadata
