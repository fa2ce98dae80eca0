"""What one browser tab keeps: a typed Session. Pages draw; all that they hold between two runs lives here."""

import logging
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, TypeVar

import streamlit as st

from attention_state import AttentionState
from clip_state import PickedClip
from conversation_state import Conversation
from model_state import ModelLoad, directory_of, load_model
from q2a_core import paths
from q2a_core.inspection.budget import Dimensions, read_dimensions
from remembered import Remembered

CONVERSATIONS_KEPT = 24

log = logging.getLogger(__name__)
Settings = TypeVar("Settings")


@dataclass
class Spot:
    """What is looked at in a clip and a model; a link to the page carries it."""

    layer: int | None = None
    head: int | None = None
    token: int | None = None
    """Audio token of the clip."""


@dataclass
class Session:
    """Everything one browser tab holds."""

    source: str = ""
    has_painted: bool = False
    """Whether the browser has the first page; only then torch is imported, so that no picture waits for it."""
    is_running: bool = False
    """Whether a run of a page has begun and not come to its end."""
    is_resent: bool = False
    """Whether the run before this one was cut short, so that what it drew may be lost."""
    conversations: Remembered[tuple[str, str, str], Conversation] = field(
        default_factory=lambda: Remembered(CONVERSATIONS_KEPT)
    )
    files: dict[str, BytesIO | None] = field(default_factory=dict)
    """Uploads and recordings; their widgets forget them when another page is opened."""
    emptied: dict[str, int] = field(default_factory=dict)
    """How often a file was removed: its widget forgets it only under another key."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Values of the widgets that `settings.kept` draws, by their keys."""
    spot: Spot = field(default_factory=Spot)
    chosen: ModelLoad | None = None
    """The chosen checkpoint, held so that it stays while other tabs load theirs."""
    visit: Any = None
    """What `address` remembers of this visit."""
    tour: int | None = None
    """Number of the tour's stop; None outside the tour."""
    toured: int | None = None
    """The stop whose page was opened last."""
    attention: AttentionState = field(default_factory=AttentionState)
    pages: dict[type, Any] = field(default_factory=dict)
    """What a page keeps, by the dataclass that describes it."""

    def of(self, kind: type[Settings]) -> Settings:
        """A page's own settings; they outlive a change of page."""
        return self.pages.setdefault(kind, kind())

    def load(self) -> ModelLoad | None:
        """The chosen checkpoint, loading or loaded; None if none is chosen or it is too early."""
        self.chosen = load_model(self.source) if self.source and self.has_painted else None
        return self.chosen

    def ready(self) -> ModelLoad | None:
        """The chosen checkpoint if it is loaded, else None."""
        load = self.load()
        return load if load and load.is_ready else None

    def conversation(self, clip: PickedClip | None, load: ModelLoad) -> Conversation:
        """The conversation about this clip with this loaded model; each has its own, so going back loses nothing."""
        key = (clip.key if clip else "", load.source, load.stamp)
        return self.conversations.once(key, lambda: Conversation(load.future.result().fork()))


def session() -> Session:
    """This browser tab's session."""
    if "session" not in st.session_state:
        shipped = list(paths.shipped_checkpoints())
        st.session_state.session = Session(
            source="mini" if "mini" in shipped else (shipped or [""])[0]
        )
    return st.session_state.session


def dimensions(session: Session) -> Dimensions | None:
    """The chosen checkpoint's dimensions; of a hub id not before it is loaded."""
    directory = directory_of(session.source)
    try:
        if directory:
            return read_dimensions(directory)
        load = session.load()
        if load and load.future.done():
            return read_dimensions(load.future.result().checkpoint.directory)
    except Exception as error:  # what is wrong with a checkpoint is said where it is loaded
        log.info("no dimensions: %s", error)
    return None
