"""Widgets whose values live in a page's settings: Streamlit forgets a widget's value when its page is left."""

from typing import Any

import streamlit as st


def remembered(widget: Any, label: str, settings: Any, name: str, **options: Any) -> Any:
    """Draw a widget that begins with `settings.name`, write what it says back there, and return it.

    A value that is no longer among the widget's options gives way to the first one. `key` tells widgets apart that
    write to settings of the same class.
    """
    key = options.pop("key", f"{type(settings).__name__}.{name}")
    choices = options.get("options")
    if key not in st.session_state or (choices and st.session_state[key] not in choices):
        value = getattr(settings, name)
        st.session_state[key] = next(iter(choices)) if choices and value not in choices else value
    value = widget(label, key=key, **options)
    setattr(settings, name, value)
    return value
