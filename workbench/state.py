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
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import streamlit as st

import stand
from attention_state import AttentionState
from kernel_state import BugHunt
from q2a_core import paths
from q2a_core.audio import Waveform, load_waveform
from q2a_core.errors import Q2AError
from q2a_core.inspection import ClipView, Sample, Trace, recorded_trace, view_clip
from q2a_core.inspection.budget import Dimensions, read_dimensions
from q2a_core.inspection.front_end import MelSettings, Resynthesis, resynthesise
from q2a_core.inspection.trace import clip_hash, describe_decoding

if TYPE_CHECKING:
    from modes_state import ModesSettings
    from q2a_core.inference import AudioChat, Reply

WINDOW_SECONDS = 30.0
"""What the model hears at once; longer clips are cut on request."""
LOW_CONFIDENCE = 0.6
"""Below this confidence a reply says that it may be a guess."""
MODELS_KEPT = 4
"""Enough for the stages side by side."""
DIALOGUES_KEPT = 24
UNEXPECTED = (
    "Something went wrong inside the workbench; the terminal it was started from shows the details."
)

log = logging.getLogger(__name__)
Settings = TypeVar("Settings")


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
    dialogues: dict[tuple[str, str, str], Dialogue] = field(default_factory=dict)
    files: dict[str, BytesIO | None] = field(default_factory=dict)
    """The upload and the recording; their widgets forget them when another page is opened."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Values of the widgets that `settings.kept` draws, by their keys."""
    spot: Spot = field(default_factory=Spot)
    visit: Any = None
    """What `address` remembers of this visit."""
    tour: int | None = None
    """Number of the tour's stop; None outside the tour."""
    toured: int | None = None
    """The stop whose page was opened last."""
    bug: BugHunt = field(default_factory=BugHunt)
    """The bug that is searched for on the page Kernel."""
    attention: AttentionState = field(default_factory=AttentionState)
    modes: "ModesSettings | None" = None
    """Knobs and results of the page Modes, once it was opened."""
    pages: dict[type, Any] = field(default_factory=dict)
    """What a page keeps, by the dataclass that describes it."""

    def of(self, kind: type[Settings]) -> Settings:
        """A page's own settings; they outlive a change of page."""
        return self.pages.setdefault(kind, kind())

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


def stamp(name: str, directory: Path) -> str:
    """Names the files of a checkpoint that lies on this machine; changes when it is trained anew."""
    return _stamp(name if name in paths.shipped_checkpoints() else str(directory))


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


def dimensions(session: Session) -> Dimensions | None:
    """The chosen checkpoint's dimensions; of a hub id not before it is loaded."""
    directory = _directory(session.source)
    try:
        if directory:
            return read_dimensions(directory)
        load = session.load()
        if load and load.future.done():
            return read_dimensions(load.future.result().checkpoint.directory)
    except Exception as error:  # what is wrong with a checkpoint is said where it is loaded
        log.info("no dimensions: %s", error)
    return None


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
    return load_waveform(_source, max_seconds=stand.clip_seconds())


def clip_view(clip: Clip) -> ClipView:
    """A clip's pictures: recorded ones at once, others as soon as torch is there."""
    return clip.trace.view if clip.trace else _clip_view(clip.key, clip.waveform)


@st.cache_data(max_entries=32, show_spinner="Computing the log-mel…")
def _clip_view(key: str, _waveform: Waveform) -> ClipView:
    return view_clip(_waveform)


@st.cache_data(max_entries=64, show_spinner="Taking the log-mel and making a sound of it again…")
def _resynthesis(
    key: str, n_fft: int, hop_length: int, num_mels: int, _samples: np.ndarray
) -> Resynthesis:
    return resynthesise(
        _samples, MelSettings(n_fft=n_fft, hop_length=hop_length, num_mels=num_mels)
    )


def resynthesis(clip: Clip, settings: MelSettings) -> Resynthesis:
    """What these mel settings keep of a clip; computed once."""
    sizes = settings.n_fft, settings.hop_length, settings.num_mels
    return _resynthesis(clip.key, *sizes, clip.waveform.samples)


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
