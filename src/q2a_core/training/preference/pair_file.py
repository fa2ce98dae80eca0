"""A preference pair, a prompt with a chosen and a rejected reply, and the JSONL file that such pairs are read from.

Imports no torch. Where a line is no pair, the error names it, what was found there and what is expected.
"""

import functools
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from q2a_core import lengths, presets
from q2a_core.errors import AudioError, ChatError, RunError
from q2a_core.text import ChatFormat, user_message
from q2a_core.text.chat import Message
from q2a_core.training.preference.pair_clips import PairClips


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePair:
    """A prompt, with at most one clip, and two replies of which the first is better."""

    prompt: tuple[Message, ...]
    """The dialogue up to where the assistant speaks; its audio part stands for the clip."""
    chosen: str
    rejected: str
    clip: Path | None = None
    """Sound file; read where `samples` is None."""
    samples: np.ndarray | None = None
    """What was read of it: float32 (S,), 16 kHz."""

    def dialogues(self) -> list[list[Message]]:
        """The prompt with the chosen reply, and with the rejected one."""
        replies = (self.chosen, self.rejected)
        return [[*self.prompt, {"role": "assistant", "content": reply}] for reply in replies]

    def waveform(self) -> np.ndarray | None:
        """The clip's samples (S,) at 16 kHz; None without a clip. Raises AudioError."""
        if self.samples is not None or self.clip is None:
            return self.samples
        from q2a_core.audio.waveform import load_waveform

        return load_waveform(self.clip).samples

    def hash(self) -> str:
        """SHA-256 over what is heard and said, wherever the clip lies."""
        samples = self.waveform()
        heard = b"" if samples is None else np.ascontiguousarray(samples, np.float32).tobytes()
        said = json.dumps([self.prompt, self.chosen, self.rejected], ensure_ascii=False)
        return hashlib.sha256(hashlib.sha256(heard).digest() + said.encode()).hexdigest()


def read_pairs(path: Path) -> list[PreferencePair]:
    """Pairs of a JSONL file, a line each: {"clip", "prompt", "chosen", "rejected"}; clips are sought beside the file.

    "prompt" is what is typed (null or left out for voice chat), or a list of messages with an audio part for the clip.
    Raises RunError for the first line that is no pair, or one that the mini model has no room for.
    """
    from q2a_core.world.mini_tokenizer import mini_chat_format

    if not path.is_file():
        raise RunError(f"{path.name} was not found; expected a JSONL file with a pair on each line")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path.name} cannot be read: {error.strerror}") from error
    pairs, clips, chat_format = [], PairClips(), functools.cache(mini_chat_format)
    for number, line in enumerate(pair_lines(data, path.name), 1):
        if line.strip():
            try:
                pair = _pair(line, path.parent)
                _check_room(pair, clips, chat_format)
            except (_BadPair, AudioError, ChatError) as error:
                raise RunError(f"{path.name}, line {number}: {error}") from error
            heard = None if pair.clip is None else clips.kept(pair.clip)
            pairs.append(replace(pair, samples=heard))
    if not pairs:
        raise RunError(f"{path.name} holds no pairs; expected one JSON object on each line")
    return pairs


def pair_lines(data: bytes, name: str) -> list[str]:
    """The lines of a list of pairs. Only a line feed ends one: a reply may hold other separators.

    Raises RunError with the first line that is not UTF-8.
    """
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise RunError(
            f"{name}, line {number}: found bytes that are not UTF-8; save the list as UTF-8 text"
        ) from error
    return lines if lines[-1] else lines[:-1]


MARKS = re.compile(r"<\|[^|<>]*\|>")
LONGEST_TEXT = 2000
"""Characters of a reply or a turn: some hundred tokens, unless they are emoji."""

TEMPLATE_BYTES = 100
"""What the chat template adds to a dialogue, and more: the default system prompt; its turns are shorter than JSON's."""


class _BadPair(Exception):
    """What was found and what is expected."""


def _pair(line: str, folder: Path) -> PreferencePair:
    try:
        values = json.loads(line)
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _BadPair("found half a surrogate pair (\\ud800 to \\udfff); expected text") from None
    except RecursionError:
        raise _BadPair("found brackets without end; expected a JSON object") from None
    except ValueError:
        raise _BadPair(f"found {line[:40]!r}; expected a JSON object") from None
    if not isinstance(values, dict):
        raise _BadPair(f"found a {type(values).__name__}; expected a JSON object")
    unknown = sorted(set(values) - {"clip", "prompt", "chosen", "rejected"})
    if unknown:
        raise _BadPair(
            f"found the entry {unknown[0]!r}; expected clip, prompt, chosen and rejected"
        )
    for name in ("chosen", "rejected"):
        text = values.get(name)
        if not isinstance(text, str) or not text.strip():
            raise _BadPair(f"{name} is {text!r}; expected the text of a reply")
        _check_text(text, name)
    if values["chosen"].strip() == values["rejected"].strip():
        raise _BadPair(f"chosen and rejected are both {values['chosen']!r}; expected two replies")
    clip = values.get("clip")
    if clip is not None and not isinstance(clip, str):
        raise _BadPair(f"clip is {clip!r}; expected the path of a sound file, or null")
    if clip is not None and not _is_file(folder / clip):
        raise _BadPair(f"the clip {clip!r} was not found; expected a sound file beside the list")
    return PreferencePair(
        prompt=_prompt(values.get("prompt"), clips=0 if clip is None else 1),
        chosen=values["chosen"],
        rejected=values["rejected"],
        clip=None if clip is None else folder / clip,
    )


def _check_text(text: str, name: str) -> None:
    """Refuse what would be read as the chat format's own marks, and what no reply of this model is long enough for."""
    mark = MARKS.search(text)
    if mark:
        raise _BadPair(f"{name} holds {mark[0]!r}, a mark of the chat format; expected plain text")
    if len(text) > LONGEST_TEXT:
        raise _BadPair(
            f"{name} has {len(text)} characters; expected at most {LONGEST_TEXT}: shorten it"
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a zero byte
        return False


def _check_room(
    pair: PreferencePair, clips: PairClips, chat_format: Callable[[], ChatFormat]
) -> None:
    """Refuse a clip that the encoder cannot hear as a whole, and a dialogue that the decoder cannot hold."""
    counts = []
    if pair.clip is not None:
        counts = [lengths.audio_tokens(lengths.mel_frames(clips.length(pair.clip)))]
    holds = presets.mini().decoder.max_positions
    for name, messages in zip(("chosen", "rejected"), pair.dialogues(), strict=True):
        # a token is a byte at least, of which composed letters may take three times as many; seldom is it close
        written = len(json.dumps(messages, ensure_ascii=False).encode())
        if 3 * written + TEMPLATE_BYTES + sum(counts) <= holds:
            continue
        found = len(chat_format().dialogue(messages, counts).input_ids)
        if found > holds:
            raise _BadPair(
                f"with its {name} reply the dialogue is {found} tokens long; the model holds {holds}: shorten it"
            )


def _prompt(found: Any, *, clips: int) -> tuple[Message, ...]:
    if found is None or isinstance(found, str):
        if not clips and not (found or "").strip():
            raise _BadPair("there is neither a clip nor a prompt; expected one of them")
        _check_text(found or "", "prompt")
        return (user_message(found or None, clips=clips),)
    messages = found if isinstance(found, list) else []
    if not messages or not all(_is_message(message) for message in messages):
        raise _BadPair(f"prompt is {str(found)[:40]!r}; expected text, null or a list of messages")
    for message in messages:
        content = message["content"]
        texts = [content] if isinstance(content, str) else [p.get("text", "") for p in content]
        for text in texts:
            _check_text(text, "prompt")
    if messages[-1]["role"] != "user":
        raise _BadPair(f"the prompt ends with {messages[-1]['role']!r}; expected a user's turn")
    roles = [message["role"] for message in messages]
    turns = roles[1:] if roles[0] == "system" else roles
    if turns != [("user", "assistant")[number % 2] for number in range(len(turns))]:
        raise _BadPair(
            f"the turns are those of {', '.join(roles)}; expected user and assistant by turns"
        )
    parts = [part for m in messages if not isinstance(m["content"], str) for part in m["content"]]
    heard = sum(_is_audio(part) for part in parts)
    if heard != clips:
        raise _BadPair(f"the prompt has {heard} audio parts for {clips} clips; expected as many")
    return tuple(messages)


def _is_message(value: Any) -> bool:
    """Whether it is {"role", "content"} as the chat template takes it."""
    if not isinstance(value, dict) or value.get("role") not in ("system", "user", "assistant"):
        return False
    content = value.get("content")
    if isinstance(content, list):
        return bool(content) and all(map(_is_part, content))
    return isinstance(content, str)


def _is_part(value: Any) -> bool:
    """Whether it is a piece of text or a place for a clip."""
    if not isinstance(value, dict):
        return False
    text = value.get("text", "")
    return isinstance(text, str) and (_is_audio(value) or "text" in value)


def _is_audio(part: dict[str, Any]) -> bool:
    return part.get("type") == "audio" or "audio" in part or "audio_url" in part
