"""Any recordings with their truth: ask the checkpoint about each, and score the replies by task and language.

A clip that cannot be decoded, or a prompt that the chat template refuses, counts as a wrong reply and is listed with
the reason; it never ends the run. Decoding is greedy, and every clip is a dialogue of its own.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from q2a_core.audio import load_waveform
from q2a_core.checkpoint import Checkpoint
from q2a_core.errors import AudioError, ChatError, CheckpointError
from q2a_core.evaluation.bleu import bleu, tokeniser_remark
from q2a_core.evaluation.keywords import SYNONYMS, contains, names_only
from q2a_core.evaluation.manifest import Recording, manifest_text, parse_manifest
from q2a_core.evaluation.metrics import (
    INTERVALS,
    Score,
    accuracy,
    character_error_rate,
    word_error_rate,
)
from q2a_core.evaluation.normalisers import WITHOUT_SPACES, normalise_for, normaliser_name
from q2a_core.evaluation.replies import ReplyKey, ReplyStore, text_hash
from q2a_core.evaluation.sound_labels import sound_meant, sound_names
from q2a_core.hashes import content_hash
from q2a_core.inference import AudioChat
from q2a_core.inference.clips import read_clips
from q2a_core.inference.sampling import unsupported_settings
from q2a_core.progress import OnProgress, unheard
from q2a_core.text import user_message
from q2a_core.world.answers import NOUNS, bare
from q2a_core.world.sounds.music import TUNE_INSTRUMENTS

MAX_NEW_TOKENS = 60
BY_CHARACTERS = (*WITHOUT_SPACES, "de")
"""Languages whose transcripts are counted by characters: those without spaces, and German, whose words are long."""
RIVALS: dict[str, tuple[str, ...]] = {
    "sound": tuple(bare(noun) for noun in NOUNS.values()),
    "vocal": tuple(bare(noun) for noun in NOUNS.values()),
    "emotion": ("anger", "joy", "sadness", "fear", "neutral", "disgust", "surprise"),
    "speaker": ("male", "female", "child"),
    "music": TUNE_INSTRUMENTS,
}
"""Labels that a wrong reply may name though no clip of the manifest has them."""
COUNTS = (("1", "once"), ("2", "twice"), ("3", "thrice"))
SHOWN_FAILURES = 20
AnsweredRecordings = list[tuple[Recording, str]]


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


def score_answers(
    answered: AnsweredRecordings, *, synonyms: Mapping[str, Iterable[str]] = SYNONYMS, seed: int = 0
) -> list[dict[str, Any]]:
    """The figures of each task and language, from recordings with their replies."""
    groups: dict[tuple[str, str], AnsweredRecordings] = {}
    for recording, reply in answered:
        groups.setdefault((recording.task, recording.language), []).append((recording, reply))
    rows = []
    for (task, language), group in groups.items():
        if task == "transcribe":
            figures = _transcripts(group, language, seed)
        elif task == "translate":
            pairs = [(recording.truth, reply) for recording, reply in group]
            figures = [("BLEU", bleu(pairs, language=language, seed=seed))]
            figures += _words(group, language, seed)
        else:
            figures = _labels(group, language, synonyms, seed)
        for metric, score in figures:
            row = {"suite": task, "language": language, "metric": metric, "score": _fields(score)}
            row["normaliser"] = "none" if metric in ("BLEU", "exact") else normaliser_name(language)
            rows.append(row)
    return rows


def _fields(score: Score) -> dict[str, Any]:
    """A score for JSON, which has no NaN: truths without a word, such as "[silence]", give no error rate."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(score).items()
    }


def _transcripts(group: AnsweredRecordings, language: str, seed: int) -> list[tuple[str, Any]]:
    """Errors, and replies that are right as a whole."""
    pairs = [(recording.truth, reply) for recording, reply in group]
    if language in BY_CHARACTERS:
        errors = ("CER", character_error_rate(pairs, language=language, seed=seed))
    else:
        errors = ("WER", word_error_rate(pairs, language=language, seed=seed))
    return [errors, *_words(group, language, seed)]


def _words(group: AnsweredRecordings, language: str, seed: int) -> list[tuple[str, Any]]:
    """The share of replies that are the truth word for word, and of those that hold it somewhere.

    Of translations, too: BLEU counts runs of four words, so that a right one of three earns nothing.
    """
    pairs = [(recording.truth, reply) for recording, reply in group]
    same = [
        normalise_for(truth, language) == normalise_for(reply, language) for truth, reply in pairs
    ]
    within = [contains(reply, truth, language) for truth, reply in pairs]
    return [
        ("word accuracy", accuracy(same, seed=seed)),
        ("truth in reply", accuracy(within, seed=seed)),
    ]


def _labels(
    group: AnsweredRecordings, language: str, synonyms: Mapping[str, Iterable[str]], seed: int
) -> list[tuple[str, Any]]:
    """Replies that name the true label alone; for labels also the official exact match."""
    task = group[0][0].task
    truths = [recording.truth for recording, _ in group]
    if task in ("sound", "vocal") and language == "en":
        truths = [sound_meant(truth) for truth in truths]
        synonyms = {**sound_names(), **synonyms}
    rivals = {*truths, *RIVALS.get(task, ())}
    hits = [
        _answers(recording, reply)
        if task == "question"
        else names_only(reply, truth, rivals, synonyms=synonyms, language=language)
        for (recording, reply), truth in zip(group, truths, strict=True)
    ]
    figures = [("accuracy", accuracy(hits, seed=seed))]
    if task in ("emotion", "vocal"):
        exact = [reply.lstrip() == recording.truth for recording, reply in group]
        figures.append(("exact", accuracy(exact, seed=seed)))
    return figures


def _answers(recording: Recording, reply: str) -> bool:
    """Whether a reply holds the answer; yes or no must be its first word, and twice is as good as two."""
    truth = normalise_for(recording.truth, recording.language)
    if truth in ("yes", "no"):
        return normalise_for(reply, recording.language).split()[:1] == [truth]
    number = truth.removesuffix(" times").removesuffix(" time")
    same = next((names for names in COUNTS if number in names), (recording.truth,))
    return any(contains(reply, name, recording.language) for name in same)


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
            [user_message(recording.prompt, clips=1)]
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
    penalty = chat.checkpoint.generation_config.get("repetition_penalty") or 1.0
    return f"greedy, at most {max_new_tokens} tokens, repetition penalty {penalty:g}, long clips cut by the window"


def _open_chat(chat: AudioChat | Checkpoint | str | Path, device: str) -> AudioChat:
    if isinstance(chat, AudioChat):
        return chat
    if isinstance(chat, Checkpoint):
        return AudioChat(chat, chat.load_model(device=device))
    return AudioChat.from_pretrained(chat, device=device)
