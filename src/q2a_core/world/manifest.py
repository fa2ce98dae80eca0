"""Clips on disk with their truth: one WAV each, one line each in `manifest.jsonl`.

`write_samples` makes the clips that ship with the project, `write_clips` any number from a split.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from q2a_core.audio import write_wav
from q2a_core.errors import Q2AError
from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.answers import NOUNS, with_article
from q2a_core.world.corpus import Corpus
from q2a_core.world.dialogues import analysis_answer, count_answer, voice_chat_answer
from q2a_core.world.mixtures import STAGE_SHARES
from q2a_core.world.render import render
from q2a_core.world.scene import SCENE_SHARES, Event, Scene, SceneKind
from q2a_core.world.speech import Utterance, build_book, open_or_build
from q2a_core.world.speech.levels import Level
from q2a_core.world.speech.utterance_book import UtteranceBook

Progress = Callable[[int, int], None]
CLIP_UTTERANCES = 600
KINDS: dict[Level, tuple[SceneKind, ...]] = {
    "first": tuple(SCENE_SHARES),
    "grown": tuple(STAGE_SHARES["sft"]),
}
"""Kinds of scenes that each world draws."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleScene:
    """A shipped clip: its events in order, and the question that a page suggests."""

    name: str
    kind: SceneKind
    events: tuple[tuple[str, int | str | None], ...]
    """(sound label, count) or (words, voice)."""
    ask: str | None = None
    background: str | None = None
    snr_db: float = 30.0


ASK_SOUND = "What is this sound?"
ASK_COUNT = "How many times does it happen?"
ASK_WORDS = "What does the person say?"
QUESTION = "what is this sound"

SAMPLE_SCENES = (
    SampleScene(
        name="keyboard_question",
        kind="question",
        events=(("keyboard", None), (QUESTION, "en-us+f2")),
        background="pink",
    ),
    SampleScene(name="dog_twice", kind="sound", events=(("dog", 2),), ask=ASK_COUNT),
    SampleScene(
        name="open_the_small_door",
        kind="speech",
        events=(("please open the small door", "gmw/en+m2"),),
        ask=ASK_WORDS,
    ),
    SampleScene(name="three_green_keys", kind="speech", events=(("three green keys", "en-us+f4"),)),
    SampleScene(
        name="question_bell",
        kind="question",
        events=((QUESTION, "en-gb-x-rp+david"), ("bell", 2)),
        background="white",
    ),
    SampleScene(
        name="cat_and_digits",
        kind="both",
        events=(("cat", 1), ("seven three five", "en-us-nyc+m6")),
        ask=ASK_WORDS,
    ),
    SampleScene(
        name="siren_in_noise",
        kind="sound",
        events=(("siren", None),),
        ask=ASK_SOUND,
        background="brown",
        snr_db=10.0,
    ),
    SampleScene(name="knocking_three", kind="sound", events=(("knocking", 3),), ask=ASK_COUNT),
    SampleScene(name="rain", kind="sound", events=(("rain", None),), ask="Is there a dog?"),
    SampleScene(name="rooster", kind="sound", events=(("rooster", 1),)),
    SampleScene(
        name="clock_question",
        kind="question",
        events=(("clock", None), ("what do you hear", "gmw/en+Annie")),
        background="hum",
    ),
    SampleScene(name="silence", kind="silence", events=(), ask=ASK_SOUND),
    SampleScene(name="noise", kind="noise", events=(), background="white"),
)


def write_clips(
    folder: Path,
    *,
    split: str,
    count: int,
    seed: int = 0,
    kind: str | None = None,
    level: Level = "first",
    on_progress: Progress = lambda done, total: None,
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
        line = _line(f"{split}_{seed}_{example.scene.index:05d}", example.scene, example.samples)
        line |= {"split": split, "seed": seed, "index": example.scene.index}
        line |= {"task": example.task.name, "dialogue": list(example.task.messages)}
        _write_clip(folder, line, example.samples)
        lines.append(line)
        on_progress(len(lines), count)
    _write_manifest(folder, lines)
    return len(lines)


def write_samples(folder: Path, *, on_progress: Progress = lambda done, total: None) -> int:
    """Write the clips that ship, into FOLDER/clips, and FOLDER/manifest.jsonl; returns how many."""
    plan = [
        Utterance(text=words, voice=voice, rate=150, pitch=50)
        for sample in SAMPLE_SCENES
        for words, voice in sample.events
        if isinstance(voice, str)
    ]
    lines = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        book = build_book(plan, Path(place) / "book", workers=1)
        for number, sample in enumerate(SAMPLE_SCENES):
            scene = _sample_scene(sample, number, book)
            samples = render(scene, book).samples
            line = _line(sample.name, scene, samples) | {"ask": sample.ask}
            line["answer"] = _sample_answer(sample, scene)
            _write_clip(folder / "clips", line, samples)
            lines.append(line)
            on_progress(len(lines), len(SAMPLE_SCENES))
        del book
    _write_manifest(folder, lines)
    return len(lines)


def _sample_scene(sample: SampleScene, number: int, book: UtteranceBook) -> Scene:
    spoken = {item.text + item.voice: place for place, item in enumerate(book.utterances)}
    events = tuple(
        Event(kind="speech", label=what, utterance=spoken[what + how])
        if isinstance(how, str)
        else Event(
            kind="sound", label=what, count=how, seconds=None if how else 2.0, seed=1000 + number
        )
        for what, how in sample.events
    )
    return Scene(
        kind=sample.kind,
        split="test",
        seed=7,
        index=number,
        events=events,
        background=sample.background,
        snr_db=sample.snr_db,
        strength=0.3,
    )


def _sample_answer(sample: SampleScene, scene: Scene) -> str:
    sound = scene.first("sound")
    if sample.ask is None:
        return voice_chat_answer(scene)
    if sample.ask == ASK_COUNT:
        assert sound is not None
        return count_answer(sound.count or 0)
    if sample.ask == ASK_WORDS:
        return analysis_answer(scene, "transcribe")
    if sample.ask == ASK_SOUND:
        return analysis_answer(scene, "name_sound")
    assert sound is not None
    return f"No, there is {_noun(sound.label)}."


def _line(name: str, scene: Scene, samples: np.ndarray) -> dict[str, Any]:
    """What a manifest says of one clip."""
    heard = [
        f'"{event.label}"' if event.kind == "speech" else _noun(event.label)
        for event in scene.events
    ]
    return {
        "file": f"{name}.wav",
        "seconds": round(len(samples) / SAMPLE_RATE, 3),
        "label": ", then ".join(heard) or scene.kind,
        "kind": scene.kind,
        "text": scene.transcript or None,
        "sounds": [event.label for event in scene.events if event.kind != "speech"],
    }


def _noun(label: str) -> str:
    return NOUNS.get(label) or with_article(label)


def _write_clip(folder: Path, line: dict[str, Any], samples: np.ndarray) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_wav(folder / line["file"], samples)
    except OSError as error:
        raise Q2AError(f"{line['file']} could not be written: {error}") from error


def _write_manifest(folder: Path, lines: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "manifest.jsonl").write_text(text, encoding="utf-8")
