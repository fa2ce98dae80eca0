"""Attention on the player's time axis, drawn by `attention.js` in any browser: small pictures of every layer and head,
one map in full under the log-mel, the row that is looked at, and what the reply needs.

Streamlit mounts script and style as a component; pictures travel as uint8 and are coloured there. Needs no torch.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from q2a_core import lengths
from q2a_core.inspection.player import player_css, player_js
from q2a_core.inspection.wording import signed

if TYPE_CHECKING:
    from q2a_core.inspection.attention_views import Overview, Picture
    from q2a_core.inspection.causes import CausalMap

ATTENTION_SKELETON = '<div class="q2a-attention"></div>'
"""What `attention.js` fills."""
FAINT = 0.05
"""Nats that are drawn at full strength at least: below a twentieth there is nothing to see."""
MEAN_OF_HEADS = -1
"""Stands for the mean of all heads where a head is named to the browser; also for no row."""


def attention_css() -> str:
    """The player's style and this one's."""
    return player_css() + (Path(__file__).parent / "attention.css").read_text("utf-8")


def attention_js() -> str:
    """The player's script and this one: `mountAttention(root, data, send)`."""
    return player_js() + (Path(__file__).parent / "attention.js").read_text("utf-8")


def attention_data(
    player: dict[str, Any],
    *,
    chosen: tuple[int, int | None] = (0, None),
    locked: int | None = None,
    span: tuple[int, int] | None = None,
    thumbs: dict[str, Any] | None = None,
    map_: dict[str, Any] | None = None,
    cause: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What `mountAttention` takes: `player_data`'s, the layer and head and row that are looked at, the range of tokens
    that is edited, and what the three functions below make."""
    layer, head = chosen
    return {
        "player": player,
        "chosen": [layer, MEAN_OF_HEADS if head is None else head],
        "locked": locked,
        "range": span,
        "thumbs": thumbs,
        "map": map_,
        "cause": cause,
    }


def thumbs_data(view: "Overview") -> dict[str, Any]:
    """The small pictures with their numbers."""
    layers, heads, height, width = view.thumbnails.shape
    share = None if view.share is None else view.share[:, 0, 0].tolist()
    return _named(
        {
            "layers": layers,
            "heads": heads - 1,
            "height": height,
            "width": width,
            "values": _base64(view.thumbnails),
            "entropy": view.entropy.tolist(),
            "share": share,
            "evenShare": view.even_share,
        }
    )


def map_data(
    picture: "Picture",
    *,
    gamma: float,
    title: str,
    labels: list[str] | None = None,
) -> dict[str, Any]:
    """One map in full: rows are the words in `labels`, or without labels the audio tokens, which follow the sound."""
    rows, columns = picture.values.shape
    words = labels is not None
    return _named(
        {
            "rows": rows,
            "columns": columns,
            "values": _base64(picture.values),
            "high": picture.high,
            "gamma": gamma,
            "title": title,
            "detail": f"a row per {'word' if words else 'token'}, columns are time; brightest {picture.high:.1%}",
            "labels": labels or [f"{lengths.TOKEN_SECONDS * row:.2f} s" for row in range(rows)],
            "rowName": "“%”" if words else "the token at %",
            "everyRow": "the reply as a whole" if words else "every token",
            "followsSound": not words,
            "lockHint": (
                "point at a row, click to lock it"
                if words
                else "follows the sound; click a row to lock it"
            ),
        }
    )


def cause_data(
    map_: "CausalMap", *, title: str, words: tuple[int, int | None] = (0, None)
) -> dict[str, Any]:
    """The layer-by-time map of reply tokens [first, stop), or of the whole reply."""
    values = map_.of(*words)
    site, window = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    first, stop = map_.windows[window]
    strongest = (
        f"strongest {signed(values[site, window])} nats: {map_.sites[site].label}, "
        f"{lengths.TOKEN_SECONDS * first:.2f}–{lengths.TOKEN_SECONDS * stop:.2f} s"
    )
    return _named(
        {
            "sites": [site.label for site in map_.sites],
            "windows": [list(span) for span in map_.windows],
            "values": _base64(values.astype("<f4")),
            "high": max(float(np.abs(values).max()), FAINT),
            "title": title,
            "detail": f"orange falls, violet rises; {strongest}",
        }
    )


def _named(values: dict[str, Any]) -> dict[str, Any]:
    """The values with an id, so that the browser draws again only what has changed."""
    text = json.dumps(values, sort_keys=True)
    return {"id": hashlib.sha256(text.encode()).hexdigest()[:16], **values}


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
