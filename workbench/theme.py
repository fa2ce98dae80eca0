"""What the theme's settings cannot say: the colour of text on the primary colour, where the keyboard is, wide tables.

On dark the primary colour is bright enough to be read as text itself, and too bright for Streamlit's white text on it.
A page's link that has the keyboard is drawn by Streamlit as the link of the open page: it gets a ring.
A table that is wider than the page moves by itself, where it would take the whole page with it.
A contrast theme (`forced-colors`) takes the background colour of everything: knobs, switches and choices keep one.
"""

import streamlit as st

STYLE = """<style>
.stApp button[data-testid^="stBaseButton-primary"]:not(:disabled, :hover, :active),
.stApp [data-testid="stMultiSelect"] [data-tag] {
  color: light-dark(#ffffff, #14191b);
}
.stApp [data-testid="stSidebarNavLink"]:focus-visible {
  outline: 2px solid currentColor;
}
.stApp [data-testid="stMarkdownContainer"]:has(> table) {
  overflow-x: auto;
}
@media (forced-colors: active) {
  .stApp [data-testid="stSlider"] [data-rac],
  .stApp [data-testid="stCheckbox"] label > div {
    forced-color-adjust: none;
  }
  .stApp [role="radio"][aria-checked="true"],
  .stApp [data-testid="stMultiSelect"] [data-tag] {
    forced-color-adjust: none;
    color: HighlightText;
    background: Highlight;
  }
}
</style>"""
"""Each theme's background colour, of `.streamlit/config.toml`; a browser too old for `light-dark` stays with white.

Under the pointer a button is darker, so that white is right.
"""
ON_ACCENT = ":host { --on-accent: var(--st-background-color); }"
"""The same for components, which live in a shadow root and know the theme's colours."""


def draw() -> None:
    """Put the style on the page."""
    st.html(STYLE)
