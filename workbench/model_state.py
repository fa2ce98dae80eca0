"""Models for all browser tabs: each checkpoint is loaded once, in a thread, and found by its name and files.

Nothing here imports torch: the thread that loads a model does.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import streamlit as st

from job import Job
from q2a_core import hashes, paths
from q2a_core.files import json_or_none

if TYPE_CHECKING:
    from q2a_core.inference import AudioChat

MODELS_KEPT = 4
"""Enough for the stages side by side; those that tabs have chosen are there besides."""


@dataclass
class ModelLoad(Job["AudioChat"]):
    """A checkpoint on its way into memory, or there."""

    source: str
    stamp: str


def load_model(source: str) -> ModelLoad:
    """Start loading a checkpoint in a thread, or find it loading or loaded; one for all browser tabs.

    A tab holds on to what it chose. Else, where tabs have chosen more than are kept, each one that looked for its model
    would find it gone, and load it in the place of another's, without end.
    """
    held, key = _held(), (source, _stamp(source))
    load = held.get(key)
    if load is None:
        load = held[key] = _load_model(*key)
    return load


@st.cache_resource(show_spinner=False)
def _held() -> "WeakValueDictionary[tuple[str, str], ModelLoad]":
    """Every model that is still in use, kept or not."""
    return WeakValueDictionary()


def forget_model(load: ModelLoad) -> None:
    """Let the next `load_model` try again."""
    _held().pop((load.source, load.stamp), None)
    _load_model.clear(load.source, load.stamp)  # type: ignore[attr-defined]


@st.cache_resource(max_entries=MODELS_KEPT, show_spinner=False)
def _load_model(source: str, stamp: str) -> ModelLoad:
    def read() -> "AudioChat":
        from q2a_core import AudioChat

        return AudioChat.from_pretrained(source)

    load = ModelLoad(source, stamp)
    load.start(read, name=f"load {source}")
    return load


def directory_of(source: str) -> Path | None:
    """Where a checkpoint lies on this machine, by its name or path; None if it does not."""
    try:
        path = paths.shipped_checkpoints().get(source, Path(source).expanduser())
        return path if source and path.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # no such user, a name too long, a zero byte
        return None


def stamp(name: str, directory: Path) -> str:
    """Names the files of a checkpoint that lies on this machine; changes when it is trained anew."""
    return _stamp(name if name in paths.shipped_checkpoints() else str(directory))


def _stamp(source: str) -> str:
    """Names the files of a local checkpoint by size and time, so that a retrained one is loaded anew."""
    directory = directory_of(source)
    entries = []
    for path in sorted(directory.glob("*.*")) if directory else ():
        if path.suffix in (".json", ".safetensors", ".jinja") and path.is_file():
            status = path.stat()
            entries.append((path.name, status.st_size, status.st_mtime_ns))
    return hashes.content_hash(repr(entries).encode())


def about(source: str) -> dict[str, Any]:
    """What a local checkpoint says of itself; {} if it says nothing."""
    directory = directory_of(source)
    return (json_or_none(directory / "about.json") if directory else None) or {}
