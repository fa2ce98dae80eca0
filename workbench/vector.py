"""Drawings as SVG in the page itself, where they take its text colour, in light and in dark.

`st.html` takes SVG out of what it is given, and an `<img>` knows nothing of the page's colours; a component keeps both.
"""

from streamlit.components.v2 import component

MOUNT = """
export default function ({ data, parentElement }) {
  parentElement.querySelector(".drawing").innerHTML = new TextDecoder().decode(data);
}
"""
STYLE = (
    ".drawing { color: var(--st-text-color, inherit); font-family: var(--st-font, sans-serif); }"
)
_mount = component("q2a_svg", html='<div class="drawing"></div>', css=STYLE, js=MOUNT)


def draw_svg(svg: str, *, key: str) -> None:
    """Draw markup that was made here; whatever came from a user or a model must be escaped in it."""
    # as bytes: for other data Streamlit would import pandas to look for tables in it
    _mount(data=svg.encode(), key=key)
