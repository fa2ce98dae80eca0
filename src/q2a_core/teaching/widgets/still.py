"""The static half of a widget: a picture and its words, for viewers that run no script.

GitHub, nbviewer and a reader of the file see these; JupyterLab takes the live half that lies in the same output.
"""

import base64
import html
import io
from typing import Any

DPI = 80


def png(figure: Any) -> bytes:
    """A matplotlib figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def still_html(picture: bytes, words: str) -> str:
    """The picture with its words under it, as HTML that needs no script."""
    text = html.escape(words, quote=True)
    return (
        f'<figure style="margin:0"><img alt="{text}" style="max-width:100%" '
        f'src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
        f'<figcaption style="font-size:12px">{text}</figcaption></figure>'
    )


def still_bundle(picture: bytes, words: str) -> dict[str, Any]:
    """The picture and its words as a notebook keeps them."""
    return {
        "text/plain": words,
        "text/html": still_html(picture, words),
        "image/png": base64.b64encode(picture).decode(),
    }
