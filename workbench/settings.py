"""Widgets whose values outlive them; Streamlit forgets a widget that is not drawn, and all of them on another page."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

import stand
import state


@dataclass
class Setting:
    """One widget's value, and the page that drew it last."""

    value: Any
    page: str | None = None


BEGINS_AT = {
    "selectbox": "index",
    "slider": "value",
    "select_slider": "value",
    "number_input": "value",
    "text_input": "value",
    "toggle": "value",
    "segmented_control": "default",
    "multiselect": "default",
}
"""By widget: the option that says where it begins."""


def kept(
    widget: Callable[..., Any], label: str, *args: Any, key: str, default: Any, **options: Any
) -> Any:
    """Draw `widget(label, *args, key=key, **options)` with the value it had; `args` begins with the options, if any.

    What is no longer among the options gives way to `default`, or to the first of them. The value is set only where
    the widget is new, or where the run that set it was cut short and the browser may not have got it: set on every
    run, it would undo what was clicked meanwhile. In all other runs it is the widget's own default, because what a run
    drew last may be lost where the next one begins at once, and the browser would then answer with the first option.
    """
    stand.stay()
    settings = state.session().settings
    setting = settings.setdefault(key, Setting(default))
    if args and (fitting := _fitting(setting.value, args[0], default)) != setting.value:
        setting = settings[key] = Setting(fitting)
    context = get_script_run_ctx()
    page = context.page_script_hash if context else None
    if setting.page != page or key not in st.session_state:
        st.session_state[key] = setting.value
    elif state.session().is_resent and not (context and context.fragment_ids_this_run):
        now = st.session_state[key]
        st.session_state[key] = setting.value if now is None else now
    else:
        options |= _as_default(widget, setting.value, args)
    setting.page = page
    value = widget(label, *args, key=key, **options)
    if value is None and options.get(
        "required"
    ):  # the browser never got the value; the next run sends it again
        setting.page = None
    else:
        setting.value = value
    return setting.value


def _as_default(widget: Callable[..., Any], value: Any, args: tuple[Any, ...]) -> dict[str, Any]:
    """The value as the option of `widget` that says where it begins; nothing for a widget that is not listed."""
    option = BEGINS_AT.get(getattr(widget, "__name__", ""))
    if option == "index":
        return {"index": list(args[0]).index(value)} if value in args[0] else {}
    return {option: value} if option else {}


def _fitting(value: Any, choices: Collection[Any], default: Any) -> Any:
    """The value, or of several those that can still be chosen."""
    if isinstance(value, list):
        return [each for each in value if each in choices]
    if value in choices:
        return value
    return default if default in choices else next(iter(choices), None)


def change(key: str, value: Any) -> None:
    """Give a setting another value before its widget is drawn, or in a callback."""
    state.session().settings[key] = Setting(value)


def value_of(key: str, default: Any) -> Any:
    """A setting's value, where its widget may not have been drawn yet."""
    setting = state.session().settings.get(key)
    return default if setting is None else setting.value
