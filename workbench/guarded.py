"""One part of a page at a time: a mistake in one leaves the others standing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from explain import explain
from plain import plain


def tell(error: BaseException, place: Any = st) -> None:
    """Say what went wrong, here on the page or in another `place` on it."""
    place.error(plain(explain(error)))


@contextmanager
def told(place: Any = st) -> Iterator[None]:
    """What goes wrong inside is a sentence in its place; Streamlit's own stops and reruns are no errors and pass."""
    try:
        yield
    except Exception as error:
        tell(error, place)


def part(draw: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Draw one part of a page and return what it returns; None if it went wrong."""
    with told():
        return draw(*arguments, **options)
