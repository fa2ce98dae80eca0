"""The clips that ship, and their recorded traces: `data_samples/manifest.jsonl`, `clips/*.wav`, `traces/*.npz`.

Reading needs no torch. `record_gallery` makes the traces anew with a checkpoint. Those that ship are of the best
shipped checkpoint, `mini`: a reply of any other is not shown as its.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from q2a_core import hashes, paths
from q2a_core.errors import Q2AError
from q2a_core.inspection.trace import CLIP_DIGITS, Trace, read_trace, record_trace, write_trace


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One shipped clip with its truth."""

    path: Path
    seconds: float
    label: str
    """What it is, in a few words."""
    kind: str
    """speech, question, vocal, sound, sounds, mixed, music, silence, noise."""
    text: str | None
    """The words spoken in it."""
    ask: str | None
    """A question to try; None if the clip speaks for itself."""
    answer: str
    """What a right answer says."""

    @property
    def name(self) -> str:
        return self.path.stem


def read_gallery() -> list[Sample]:
    """The shipped clips in the manifest's order; [] where none ship. Raises Q2AError for a line that cannot be read."""
    root = paths.data_samples()
    manifest = root / "manifest.jsonl"
    if not manifest.is_file():
        return []
    samples = []
    for number, line in enumerate(manifest.read_text("utf-8").splitlines(), start=1):
        try:
            values = json.loads(line)
            samples.append(
                Sample(
                    path=root / "clips" / Path(values["file"]).name,
                    seconds=float(values["seconds"]),
                    label=str(values["label"]),
                    kind=str(values["kind"]),
                    text=values.get("text"),
                    ask=values.get("ask"),
                    answer=str(values.get("answer") or ""),
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Q2AError(f"manifest.jsonl line {number} cannot be read: {error!r}") from error
    return samples


def trace_path(sample: Sample) -> Path:
    """Where a sample's recorded trace lies."""
    return paths.data_samples() / "traces" / f"{sample.name}.npz"


def recorded_trace(sample: Sample) -> Trace | None:
    """A sample's recorded trace; None if there is none, or if it was recorded of another sound.

    The reply is left out if another checkpoint gave it than the one that `mini` now stands for.
    """
    path = trace_path(sample)
    if not path.is_file():
        return None
    trace = read_trace(path)
    if trace.clip_hash != hashes.content_hash(sample.path.read_bytes(), CLIP_DIGITS):
        return None
    if trace.reply is not None and trace.reply.checkpoint_hash != best_hash():
        return replace(trace, reply=None)
    return trace


def best_hash() -> str | None:
    """Hash of the checkpoint that `mini` stands for; None if none ships."""
    directory = paths.shipped_checkpoints().get("mini")
    if directory is None:
        return None
    files = [path.stat() for path in sorted(directory.glob("*.*"))]
    return _hash(directory, tuple((file.st_size, file.st_mtime_ns) for file in files))


@lru_cache(maxsize=4)
def _hash(directory: Path, stamp: tuple[tuple[int, int], ...]) -> str:
    """The hash of a checkpoint's files, taken once for each state that they are in."""
    return hashes.checkpoint_hash(directory)


def record_gallery(source: str | Path = "mini", folder: Path | None = None) -> Iterator[Path]:
    """Record every sample's trace, a checkpoint answering its question; yields the files as they are written.

    Without a folder they replace the traces that ship. Raises Q2AError if they would, and `source` is not the
    checkpoint that those are of.
    """
    from q2a_core.inference import AudioChat

    chat = AudioChat.from_pretrained(source)
    shipped = paths.data_samples() / "traces"
    folder = shipped if folder is None else folder
    if folder.resolve() == shipped.resolve() and chat.checkpoint.hash != best_hash():
        raise Q2AError(
            f"the traces that ship are of mini, and {chat.checkpoint.name} is another checkpoint; "
            "name another folder for its traces with --output"
        )
    for sample in read_gallery():
        path = folder / trace_path(sample).name
        write_trace(path, record_trace(chat, sample.path, question=sample.ask))
        yield path
