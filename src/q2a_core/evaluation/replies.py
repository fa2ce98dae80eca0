"""Infer once, score many: a JSONL file of replies that outlives the run.

A reply is found again under everything that it depends on: the checkpoint, the suite, the item with its clip, the
rendered prompt, and how it was decoded. Change any of them and the question is asked anew. Each reply is one line,
appended whole: a run that is killed goes on behind the last one, and a line that broke off is skipped. A file that
holds something else is refused, and left as it is.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from q2a_core.errors import Q2AError
from q2a_core.hashes import content_hash
from q2a_core.progress import OnProgress, unheard

BATCH_SIZE = 16
_BEGINNING = b'{"checkpoint": "'
"""How every line begins."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyKey:
    """What a reply depends on."""

    checkpoint: str
    """The checkpoint's `reply_hash`."""
    suite: str
    """Name of the suite."""
    item: str
    """The item, with its clip's hash: another clip is another item."""
    prompt: str
    """`text_hash` of the rendered prompt."""
    decoding: str
    """How it was decoded, in words."""


def text_hash(text: str) -> str:
    """Twelve hex digits of a text."""
    return content_hash(text.encode("utf-8"))


class ReplyStore:
    """Replies by their key, in memory and appended to a file; without a path in memory only."""

    def __init__(self, path: str | Path | None = None):
        self.path = None if path is None else Path(path)
        self.skipped = 0
        """Lines that could not be read."""
        self._replies: dict[tuple[str, ...], str] = {}
        if self.path is not None and self.path.exists():
            self._read(self.path)

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, key: ReplyKey) -> str | None:
        """The reply, or None if this was never asked."""
        return self._replies.get(astuple(key))

    def put(self, key: ReplyKey, reply: str) -> None:
        """Keep a reply; it is in the file when this returns."""
        self._replies[astuple(key)] = reply
        if self.path is None:
            return
        line = json.dumps({**asdict(key), "reply": reply}, ensure_ascii=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                # what another run left half-written stays a line of its own
                start = "\n" if _breaks_off(file) else ""
                file.write((start + line).encode("utf-8", "surrogatepass"))
        except OSError as error:
            raise Q2AError(f"{self.path.name}: replies cannot be kept: {error.strerror}") from error

    def _read(self, path: Path) -> None:
        try:
            lines = list(filter(None, path.read_bytes().split(b"\n")))
        except OSError as error:
            raise Q2AError(
                f"{path.name}: {error.strerror}; expected a file of replies that q2a eval has written"
            ) from error
        fields = (*ReplyKey.__dataclass_fields__, "reply")
        for line in lines:
            try:
                row = json.loads(line.decode("utf-8", "surrogatepass"))
                values = [row[name] for name in fields]
            except (ValueError, KeyError, TypeError, RecursionError):
                values = []
            texts = [value for value in values if isinstance(value, str)]
            if len(texts) == len(fields):
                self._replies[tuple(texts[:-1])] = texts[-1]
            else:
                self.skipped += 1
        if self.skipped and not self._replies and not all(map(_broke_off, lines)):
            found = lines[0][:40].decode("utf-8", "replace")
            raise Q2AError(
                f"{path.name} begins with {found!r}, and none of its {len(lines)} lines is a reply of q2a eval; "
                "it stays as it is, choose another file for the replies"
            )


def answer_once(
    store: ReplyStore,
    keys: Sequence[ReplyKey],
    answer: Callable[[list[int]], list[str]],
    *,
    batch_size: int = BATCH_SIZE,
    on_progress: OnProgress = unheard,
) -> list[str]:
    """The replies in the order of the keys; `answer` is called with the places of those not in the store.

    A batch is kept as soon as it is answered. Equal keys are asked once.
    """
    first = {key: place for place, key in reversed(list(enumerate(keys)))}
    missing = sorted(place for key, place in first.items() if store.get(key) is None)
    known = len(keys) - len(missing)
    on_progress(known, len(keys))
    for start in range(0, len(missing), batch_size):
        places = missing[start : start + batch_size]
        for place, reply in zip(places, answer(places), strict=True):
            store.put(keys[place], reply)
        on_progress(known + start + len(places), len(keys))
    replies = [store.get(key) for key in keys]
    assert all(reply is not None for reply in replies)
    return [str(reply) for reply in replies]


def _broke_off(line: bytes) -> bool:
    """Whether this is what a killed run leaves of a reply."""
    return line[: len(_BEGINNING)] == _BEGINNING[: len(line)] and not line.endswith(b'"}')


def _breaks_off(file) -> bool:
    """Whether the file, open for reading and appending, ends inside a line."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
