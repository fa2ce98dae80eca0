"""How replies about recordings are scored: by task and language, each figure with its interval."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from q2a_core.evaluation.bleu import bleu
from q2a_core.evaluation.keywords import SYNONYMS, contains, names_only
from q2a_core.evaluation.manifest import Recording
from q2a_core.evaluation.metrics import Score, accuracy, character_error_rate, word_error_rate
from q2a_core.evaluation.normalisers import WITHOUT_SPACES, normalise_for, normaliser_name
from q2a_core.evaluation.sound_labels import sound_meant, sound_names
from q2a_core.world.answers import NOUNS, bare
from q2a_core.world.sounds.music import TUNE_INSTRUMENTS

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
AnsweredRecordings = list[tuple[Recording, str]]


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
