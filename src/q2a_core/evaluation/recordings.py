"""Any recordings with their truth: ask the checkpoint about each, and score the replies by task and language.

A clip that cannot be decoded, or a prompt that the chat template refuses, counts as a wrong reply and is listed with
the reason; it never ends the run. Decoding is greedy, and every clip is a dialogue of its own.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from q2a_core.audio import load_waveform
from q2a_core.checkpoint import Checkpoint
from q2a_core.errors import AudioError, ChatError, CheckpointError
from q2a_core.evaluation.bleu import tokeniser_remark
from q2a_core.evaluation.keywords import SYNONYMS
from q2a_core.evaluation.manifest import Recording, manifest_text, parse_manifest
from q2a_core.evaluation.metrics import (
    INTERVALS,
)
from q2a_core.evaluation.recording_scores import score_answers
from q2a_core.evaluation.replies import ReplyKey, ReplyStore, text_hash
from q2a_core.evaluation.runner import decoding_in_words
from q2a_core.hashes import content_hash
from q2a_core.inference import AudioChat
from q2a_core.inference.clips import read_clips
from q2a_core.inference.sampling import unsupported_settings
from q2a_core.progress import OnProgress, unheard
from q2a_core.text import user_message

MAX_NEW_TOKENS = 60
SHOWN_FAILURES = 20


def score_recordings(
    chat: AudioChat | Checkpoint | str | Path,
    folder: str | Path,
    manifest: str | Path,
    *,
    store: ReplyStore | None = None,
    synonyms: Mapping[str, Iterable[str]] = SYNONYMS,
    device: str = "cpu",
    max_new_tokens: int = MAX_NEW_TOKENS,
    seed: int = 0,
    on_progress: OnProgress = unheard,
) -> dict[str, Any]:
    """A JSON-ready report: figures by task and language with their intervals, every reply, and the failures.

    `synonyms` are other names of labels beside those that sounds have. Raises Q2AError for a manifest that
    cannot be used, before the model is loaded.
    """
    text = manifest_text(manifest)
    recordings = parse_manifest(text, folder, name=Path(manifest).name)
    chat = _open_chat(chat, device)
    store = ReplyStore() if store is None else store
    answered, replies, failures = [], [], []
    for done, recording in enumerate(recordings):
        on_progress(done, len(recordings))
        reply, notices, reason = _ask(chat, recording, store, max_new_tokens)
        answered.append((recording, reply))
        row = {name: getattr(recording, name) for name in ("file", "line", "task", "language")}
        row |= {"prompt": recording.prompt, "true": recording.truth, "reply": reply}
        replies.append({**row, "notices": list(notices)})
        if reason is not None:
            failures.append({"file": recording.file, "line": recording.line, "reason": reason})
    on_progress(len(recordings), len(recordings))
    return {
        "checkpoint": {"name": chat.checkpoint.name, "hash": chat.checkpoint.hash},
        "conditions": {
            "folder": Path(folder).name,
            "manifest": text_hash(text),
            "decoding": _decoding(chat, max_new_tokens),
            "intervals": INTERVALS,
            "seed": seed,
            **_remarks(chat, recordings),
        },
        "n": len(recordings),
        "rows": score_answers(answered, synonyms=synonyms, seed=seed),
        "failures": failures,
        "replies": replies,
    }


def _remarks(chat: AudioChat, recordings: list[Recording]) -> dict[str, str]:
    """What was not done as the checkpoint or the official scripts ask for it."""
    into = {recording.language for recording in recordings if recording.task == "translate"}
    remarks = {f"BLEU, {language}": tokeniser_remark(language) for language in sorted(into)}
    remarks["ignored"] = ", ".join(unsupported_settings(chat.checkpoint.generation_config))
    remarks["prompts"] = "; ".join(chat.checkpoint.notices)
    return {name: remark for name, remark in remarks.items() if remark}


def troubled_clips(report: dict[str, Any]) -> str:
    """Which clips count as wrong because nothing could be asked about them, and which came with notices; "" if none."""
    failures = [
        f"- {row['file']}, line {row['line']}: {row['reason']}" for row in report["failures"]
    ]
    noticed = [
        f"- {row['file']}, line {row['line']}: {'; '.join(row['notices'])}"
        for row in report["replies"]
        if row["notices"]
    ]
    total = report["n"]
    return _listed(
        f"{len(failures)} of {total} clips could not be used and count as wrong:", failures
    ) + _listed(f"{len(noticed)} of {total} clips were heard with a notice:", noticed)


def _listed(head: str, lines: list[str]) -> str:
    """The first of `lines` under a head, and how many more there are; "" without any."""
    more = len(lines) - SHOWN_FAILURES
    shown = lines[:SHOWN_FAILURES] + ([f"- and {more} more"] if more > 0 else [])
    return "\n".join(["", head, "", *shown, ""]) if lines else ""


def _ask(
    chat: AudioChat, recording: Recording, store: ReplyStore, max_new_tokens: int
) -> tuple[str, tuple[str, ...], str | None]:
    """The reply, what is to be said of its clip, and why there is no reply."""
    notices: tuple[str, ...] = ()
    try:
        waveform = load_waveform(recording.path)
        window = chat.model.config.encoder.max_samples
        notices = chat.clip_notices(read_clips(waveform, window=window, split="window"))
        rendered = chat.checkpoint.chat_format.prompt_text(
            [*chat.fork().messages, user_message(recording.prompt, clips=1)]
        )
        key = ReplyKey(
            checkpoint=chat.checkpoint.reply_hash,
            suite=f"recordings/{recording.task}",
            item=f"{recording.file} {content_hash(recording.path.read_bytes())}",
            prompt=text_hash(rendered),
            decoding=_decoding(chat, max_new_tokens),
        )
        known = store.get(key)
        if known is not None:
            return known, notices, None
        reply = chat.fork().ask(
            waveform,
            recording.prompt,
            split="window",
            temperature=0.0,
            max_new_tokens=max_new_tokens,
        )
    except (AudioError, ChatError, CheckpointError, OSError) as error:
        return "", notices, str(error)
    store.put(key, reply.text)
    return reply.text, notices, None


def _decoding(chat: AudioChat, max_new_tokens: int) -> str:
    return f"{decoding_in_words(chat.checkpoint, max_new_tokens)}, long clips cut by the window"


def _open_chat(chat: AudioChat | Checkpoint | str | Path, device: str) -> AudioChat:
    if isinstance(chat, AudioChat):
        return chat
    if isinstance(chat, Checkpoint):
        return AudioChat(chat, chat.load_model(device=device))
    return AudioChat.from_pretrained(chat, device=device)
