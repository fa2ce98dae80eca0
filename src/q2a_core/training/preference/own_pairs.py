"""Preference pairs that a person makes: two replies of a checkpoint to one clip, the better one chosen.

They are kept with their sound, written as the JSONL that `pair_file.read_pairs` takes with the clips beside it, and
read back from what somebody uploads. Names in an upload are labels: nothing outside the upload is ever opened.
"""

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from q2a_core.audio.waveform import Waveform, wav_bytes
from q2a_core.errors import RunError
from q2a_core.training.preference.pair_file import PreferencePair, pair_lines, read_pairs

if TYPE_CHECKING:
    from q2a_core.inference import AudioChat, Reply

PAIRS_FILE = "pairs.jsonl"
TRIES = 24
"""Replies that are drawn at most until two differ."""
MAX_PAIRS = 500
"""Pairs in one upload."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OwnPair:
    """One choice."""

    clip: str | None
    """Name of the sound file beside the list; None for a text turn."""
    samples: np.ndarray | None
    """float32 (S,), 16 kHz."""
    prompt: Any
    """What was typed, None for the clip alone, or a list of messages."""
    chosen: str
    rejected: str

    def line(self) -> dict[str, Any]:
        """As `read_pairs` takes it."""
        return {
            "clip": self.clip,
            "prompt": self.prompt,
            "chosen": self.chosen,
            "rejected": self.rejected,
        }

    def swapped(self) -> "OwnPair":
        """The other way round."""
        return OwnPair(
            clip=self.clip,
            samples=self.samples,
            prompt=self.prompt,
            chosen=self.rejected,
            rejected=self.chosen,
        )


def clip_name(samples: np.ndarray) -> str:
    """The name of a clip's file beside the list, by what is heard: float32 (S,)."""
    data = np.ascontiguousarray(samples, dtype=np.float32).tobytes()
    return f"{hashlib.sha256(data).hexdigest()[:16]}.wav"


def two_replies(
    chat: "AudioChat",
    waveform: Waveform | None,
    text: str | None,
    *,
    temperature: float,
    seed: int = 0,
) -> tuple["Reply", "Reply"] | None:
    """Two different replies drawn at a temperature; None if all that were drawn say the same.

    Seeds are `seed`, `seed + 1` and so on, so the same call gives the same replies. Raises AudioError and ChatError.
    """
    first = None
    for number in range(TRIES if temperature > 0 else 1):
        reply = chat.fork().ask(waveform, text, temperature=temperature, seed=seed + number)
        if not reply.text.strip():
            continue
        if first is None:
            first = reply
        elif reply.text.strip() != first.text.strip():
            return first, reply
    return None


def pairs_jsonl(pairs: Sequence[OwnPair]) -> str:
    """The list, a line for each pair."""
    return "".join(json.dumps(pair.line(), ensure_ascii=False) + "\n" for pair in pairs)


def pair_files(pairs: Sequence[OwnPair]) -> dict[str, bytes]:
    """The list and its clips, by file name."""
    clips = {
        pair.clip: wav_bytes(pair.samples)
        for pair in pairs
        if pair.clip is not None and pair.samples is not None
    }
    return {PAIRS_FILE: pairs_jsonl(pairs).encode(), **clips}


def write_pairs(pairs: Sequence[OwnPair], folder: Path) -> Path:
    """Write the list and its clips into a folder; returns the list, which `q2a train dpo --pairs` takes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in pair_files(pairs).items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise RunError(f"the pairs cannot be written: {error.strerror}; make room") from error
    return folder / PAIRS_FILE


def zip_pairs(pairs: Sequence[OwnPair]) -> bytes:
    """The list and its clips as one zip; the same pairs give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in pair_files(pairs).items():
            file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def receive_pairs(
    uploads: Mapping[str, bytes], known: Mapping[str, np.ndarray] | None = None
) -> list[OwnPair]:
    """Pairs of an uploaded JSONL whose clips were uploaded with it or are `known` by name: float32 (S,), 16 kHz.

    Raises RunError for the first line that is no pair, for a clip that is in neither, and for more than one list.
    """
    lists = [name for name in uploads if name.lower().endswith((".jsonl", ".json"))]
    if len(lists) != 1:
        raise RunError(
            f"found {len(lists)} lists of pairs among the files; expected one .jsonl, with its clips beside it"
        )
    sounds: dict[str, bytes] = {_bare(name): data for name, data in uploads.items()}
    sounds |= {name: wav_bytes(samples) for name, samples in (known or {}).items()}
    lines = pair_lines(uploads[lists[0]], _bare(lists[0]))
    with tempfile.TemporaryDirectory() as place:
        folder, named = Path(place), {}
        if len(lines) > MAX_PAIRS:
            raise RunError(f"the list has {len(lines)} lines; expected at most {MAX_PAIRS}")
        for number, line in enumerate(lines):
            lines[number] = _line_with_safe_clip(line, number + 1, sounds, folder, named)
        path = folder / _bare(lists[0])
        path.write_text("\n".join(lines), encoding="utf-8")
        found = read_pairs(path)
        return [_own(pair) for pair in found]


def _line_with_safe_clip(
    line: str, number: int, sounds: Mapping[str, bytes], folder: Path, named: dict[str, str]
) -> str:
    """The line with its clip under a name that we chose, and the clip written there."""
    try:
        values = json.loads(line)
    except ValueError:
        return line
    except RecursionError:
        raise RunError(f"line {number}: found brackets without end; expected a pair") from None
    clip = values.get("clip") if isinstance(values, dict) else None
    if not isinstance(clip, str):
        return line
    name = _bare(clip)
    if name not in sounds:
        raise RunError(
            f"line {number}: the clip {name[:60]!r} is neither a shipped sample nor among the files; "
            "upload it together with the list"
        )
    ours = next((key for key, value in named.items() if value == name), f"clip-{len(named)}")
    named[ours] = name
    (folder / ours).write_bytes(sounds[name])
    return json.dumps(values | {"clip": ours})


def _own(pair: PreferencePair) -> OwnPair:
    samples = pair.waveform()
    return OwnPair(
        clip=None if samples is None else clip_name(samples),
        samples=samples,
        prompt=_prompt_text(list(pair.prompt)),
        chosen=pair.chosen,
        rejected=pair.rejected,
    )


def _prompt_text(messages: list[Any]) -> Any:
    """Back from messages to what was typed, where it was a single turn."""
    if len(messages) == 1 and isinstance(messages[0]["content"], list):
        parts = messages[0]["content"]
        texts = [part["text"] for part in parts if part.get("type") == "text"]
        audio = [part for part in parts if part.get("type") == "audio"]
        if len(texts) <= 1 and len(texts) + len(audio) == len(parts):
            return texts[0] if texts else None
    return messages


def _bare(name: str) -> str:
    """The last part of a name, whatever system wrote it, without what a file system could take amiss."""
    bare = PurePosixPath(name.replace("\\", "/")).name
    return "".join(c if c.isalnum() or c in "._- " else "_" for c in bare)[:80] or "clip"
