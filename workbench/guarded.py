"""One part of a page at a time: a mistake in one leaves the others standing."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from explain import explain
from panels import plain


def part(draw: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Draw one part of a page; what goes wrong in it is a sentence in its place."""
    try:
        return draw(*arguments, **options)
    except Exception as error:
        st.error(plain(explain(error)))
        return None
