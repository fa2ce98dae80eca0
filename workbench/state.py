"""What the workbench keeps: models for all, pictures by clip, and one typed Session per browser tab.

Pages draw; everything they hold between two runs lives here. Nothing in this file imports torch: the thread that loads
a model does, and so does the first picture of a clip that has no recorded trace.
"""

import json
import logging
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from q2a_core import paths
from q2a_core.audio import Waveform, load_waveform
from q2a_core.errors import Q2AError
from q2a_core.inspection import ClipView, Sample, Trace, recorded_trace, view_clip
from q2a_core.inspection.trace import clip_hash, describe_decoding

if TYPE_CHECKING:
    from modes_state import ModesSettings
    from q2a_core.inference import AudioChat, Reply

MAX_CLIP_SECONDS = 120.0
"""Longest clip the workbench takes: four windows of the model."""
WINDOW_SECONDS = 30.0
"""What the model hears at once; longer clips are cut on request."""
LOW_CONFIDENCE = 0.6
"""Below this confidence a reply says that it may be a guess."""
MODELS_KEPT = 2
DIALOGUES_KEPT = 24
UNEXPECTED = (
    "Something went wrong inside the workbench; the terminal it was started from shows the details."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One clip that was picked, uploaded or recorded; it could be read."""

    key: str
    """Hash of the file; what caches and dialogues are keyed by."""
    waveform: Waveform
    sample: Sample | None = None
    trace: Trace | None = None


@dataclass(kw_only=True)
class Turn:
    """One question and what came of it."""

    text: str | None
    clip: str | None
    reply: "Reply | None" = None
    error: str | None = None


@dataclass
class Dialogue:
    """What was said about one clip with one checkpoint."""

    chat: "AudioChat"
    turns: list[Turn] = field(default_factory=list)

    @property
    def holds_clip(self) -> bool:
        """Whether the clip is in the dialogue; it is sent once, and later questions go on about it."""
        return any(turn.clip and turn.reply for turn in self.turns)

    def restart(self) -> None:
        self.chat.reset()
        self.turns.clear()

    def answer(
        self, turn: Turn, waveform: Waveform | None, *, split: bool
    ) -> Generator[str, None, None]:
        """Pieces of the reply; however it ends, the turn then holds the reply or the reason why there is none."""
        self.turns.append(turn)
        self.chat.last_reply = None
        cut = "window" if split else None
        try:
            with closing(self.chat.stream(waveform, turn.text, split=cut)) as pieces:
                yield from pieces
        except Exception as error:
            turn.error = explain(error)
        finally:
            turn.reply = self.chat.last_reply


@dataclass
class ModelLoad:
    """A checkpoint on its way into memory, or there."""

    source: str
    stamp: str
    future: "Future[AudioChat]" = field(default_factory=Future)
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


@dataclass
class Session:
    """Everything one browser tab holds."""

    source: str = ""
    has_painted: bool = False
    """Whether the browser has the first page; only then torch is imported, so that no picture waits for it."""
    dialogues: dict[tuple[str, str, str], Dialogue] = field(default_factory=dict)
    modes: "ModesSettings | None" = None
    """Knobs and results of the page Modes, once it was opened."""

    def load(self) -> ModelLoad | None:
        """The chosen checkpoint, loading or loaded; None if none is chosen or it is too early."""
        return load_model(self.source) if self.source and self.has_painted else None

    def dialogue(self, clip: Clip | None, load: ModelLoad) -> Dialogue:
        """The dialogue about this clip with this loaded model; each has its own, so going back loses nothing."""
        key = (clip.key if clip else "", load.source, load.stamp)
        if key not in self.dialogues:
            self.dialogues[key] = Dialogue(load.future.result().fork())
            while len(self.dialogues) > DIALOGUES_KEPT:
                self.dialogues.pop(next(iter(self.dialogues)))
        return self.dialogues[key]


def session() -> Session:
    """This browser tab's session."""
    if "session" not in st.session_state:
        shipped = list(paths.shipped_checkpoints())
        st.session_state.session = Session(
            source="mini" if "mini" in shipped else (shipped or [""])[0]
        )
    return st.session_state.session


def load_model(source: str) -> ModelLoad:
    """Start loading a checkpoint in a thread, or find it loading or loaded; one for all browser tabs."""
    return _load_model(source, _stamp(source))


def forget_model(load: ModelLoad) -> None:
    """Let the next `load_model` try again."""
    _load_model.clear(load.source, load.stamp)  # type: ignore[attr-defined]


@st.cache_resource(max_entries=MODELS_KEPT, show_spinner=False)
def _load_model(source: str, stamp: str) -> ModelLoad:
    load = ModelLoad(source, stamp)

    def run() -> None:
        try:
            from q2a_core import AudioChat

            load.future.set_result(AudioChat.from_pretrained(source))
        except BaseException as error:
            load.future.set_exception(error)

    threading.Thread(target=run, name=f"load {source}", daemon=True).start()
    return load


def _directory(source: str) -> Path | None:
    try:
        path = paths.shipped_checkpoints().get(source, Path(source).expanduser())
        return path if source and path.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # no such user, a name too long, a zero byte
        return None


def _stamp(source: str) -> str:
    """Names the files of a local checkpoint by size and time, so that a retrained one is loaded anew."""
    directory = _directory(source)
    entries = []
    for path in sorted(directory.glob("*.*")) if directory else ():
        if path.suffix in (".json", ".safetensors", ".jinja") and path.is_file():
            status = path.stat()
            entries.append((path.name, status.st_size, status.st_mtime_ns))
    return clip_hash(repr(entries).encode())


def about(source: str) -> dict[str, Any]:
    """What a local checkpoint says of itself; {} if it says nothing."""
    directory = _directory(source)
    try:
        values = json.loads((directory / "about.json").read_text("utf-8")) if directory else {}
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def sample_clip(sample: Sample) -> Clip:
    """A shipped clip with its recorded trace. Raises Q2AError."""
    key = clip_hash(sample.path.read_bytes()) if sample.path.is_file() else ""
    waveform = _waveform(key, sample.path.name, sample.path)
    try:
        trace = recorded_trace(sample)
    except Q2AError as error:
        log.warning("%s: computing it anew", error)
        trace = None
    return Clip(key=key, waveform=waveform, sample=sample, trace=trace)


def uploaded_clip(file: BytesIO, *, name: str | None = None) -> Clip:
    """An upload or a recording; its name is shown and never used as a path. Raises Q2AError."""
    key = clip_hash(file.getvalue())
    if name is not None:
        file = BytesIO(file.getvalue())
        file.name = name
    return Clip(key=key, waveform=_waveform(key, getattr(file, "name", ""), file))


@st.cache_data(max_entries=32, show_spinner=False)
def _waveform(key: str, name: str, _source: Any) -> Waveform:
    return load_waveform(_source, max_seconds=MAX_CLIP_SECONDS)


def clip_view(clip: Clip) -> ClipView:
    """A clip's pictures: recorded ones at once, others as soon as torch is there."""
    return clip.trace.view if clip.trace else _clip_view(clip.key, clip.waveform)


@st.cache_data(max_entries=32, show_spinner="Computing the log-mel…")
def _clip_view(key: str, _waveform: Waveform) -> ClipView:
    return view_clip(_waveform)


def reply_line(dialogue: Dialogue, reply: "Reply") -> str:
    """Whose reply it is and how it was made, in one line."""
    checkpoint, timings = dialogue.chat.checkpoint, reply.timings
    return (
        f"{checkpoint.name} {checkpoint.hash} · {describe_decoding(reply.settings, reply.seed)} · "
        f"confidence {reply.confidence:.0%} · first token {timings.time_to_first_token:.2f} s, "
        f"{timings.tokens_per_second:.0f} tokens/s"
    )


def explain(error: BaseException) -> str:
    """What a page says of an error: its own sentence if a user can mend it, else that the log has more."""
    if isinstance(error, Q2AError):
        return str(error)
    log.error("unexpected", exc_info=error)
    return UNEXPECTED
