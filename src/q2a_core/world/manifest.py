"""Clips on disk with their truth: one WAV each, one line each in `manifest.jsonl`."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from q2a_core.audio import write_wav
from q2a_core.errors import Q2AError
from q2a_core.files import write_whole
from q2a_core.lengths import SAMPLE_RATE
from q2a_core.progress import OnProgress, unheard
from q2a_core.world.answers import NOUNS, with_article
from q2a_core.world.corpus import Corpus, Example
from q2a_core.world.first_world.sampler import SCENE_SHARES
from q2a_core.world.scene import Scene, SceneKind
from q2a_core.world.scene_shares import STAGE_SHARES
from q2a_core.world.speech import open_or_build
from q2a_core.world.speech.levels import Level

CLIP_UTTERANCES = 600
MANIFEST = "manifest.jsonl"
KINDS: dict[Level, tuple[SceneKind, ...]] = {
    "first": tuple(SCENE_SHARES),
    "grown": tuple(STAGE_SHARES["sft"]),
}
"""Kinds of scenes that each world draws."""


def write_clips(
    folder: Path,
    *,
    split: str,
    count: int,
    seed: int = 0,
    kind: str | None = None,
    level: Level = "grown",
    on_progress: OnProgress = unheard,
) -> int:
    """Write `count` clips of a split with their dialogues; returns how many. Raises Q2AError, SpeechError."""
    if kind is not None and kind not in KINDS[level]:
        raise Q2AError(f"kind is {kind!r}; the {level} world has {', '.join(KINDS[level])}")
    book = open_or_build(split, count=CLIP_UTTERANCES, seed=0, level=level)  # type: ignore[arg-type]
    corpus = Corpus(
        book,
        split,  # type: ignore[arg-type]
        seed=seed,
        kinds=(kind,) if kind else (),  # type: ignore[arg-type]
        level=level,
        stage="sft",
    )
    lines, index = [], 0
    while len(lines) < count:
        example = corpus.example(index)
        index += 1
        if example.samples is None:
            continue
        line = clip_line(
            f"{split}_{seed}_{example.scene.index:05d}", example.scene, example.samples
        )
        line |= {"split": split, "seed": seed, "index": example.scene.index}
        line |= {"task": example.task.name, "dialogue": list(example.task.messages)}
        line |= {"turns": list(example.task.turns), "language": _language(example)}
        write_clip(folder, line, example.samples)
        lines.append(line)
        on_progress(len(lines), count)
    write_manifest(folder, lines)
    return len(lines)


def _language(example: Example) -> str:
    """Code of the language that the first answer is in where it writes down what was said, or translates it."""
    speech = example.scene.first("speech")
    if speech is None or speech.spoken is None:
        return "en"
    task, answer = example.task.turns[0], example.task.messages[1]["content"]
    if task == "translate":
        return next((code for code, text in speech.spoken.translations if text == answer), "en")
    return speech.spoken.language if task == "transcribe" and answer == speech.label else "en"


def clip_line(name: str, scene: Scene, samples: np.ndarray) -> dict[str, Any]:
    """What a manifest says of one clip."""
    heard = [
        f'"{event.label}"' if event.kind == "speech" else _noun(event.label)
        for event in scene.events
    ]
    return {
        "file": f"{name}.wav",
        "seconds": round(len(samples) / SAMPLE_RATE, 3),
        "label": (" with " if scene.overlap else ", then ").join(heard) or scene.kind,
        "kind": scene.kind,
        "text": scene.transcript or None,
        "sounds": [event.label for event in scene.events if event.kind != "speech"],
    }


def _noun(label: str) -> str:
    return NOUNS.get(label) or with_article(label)


def write_clip(folder: Path, line: dict[str, Any], samples: np.ndarray) -> None:
    """Write the WAV that a manifest's line names. Raises Q2AError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_wav(folder / line["file"], samples)
    except OSError as error:
        raise Q2AError(f"{line['file']} could not be written: {error}") from error


def write_manifest(folder: Path, lines: list[dict[str, Any]]) -> None:
    """Write FOLDER/manifest.jsonl."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_whole(folder / MANIFEST, text)
