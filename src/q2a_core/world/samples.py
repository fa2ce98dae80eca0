"""The clips that ship, made: rendered, with a question each and the true answer."""

import tempfile
from pathlib import Path

import numpy as np

from q2a_core.progress import OnProgress, unheard
from q2a_core.world.answers import is_there_answer
from q2a_core.world.manifest import clip_line, write_clip, write_manifest
from q2a_core.world.render import render
from q2a_core.world.sample_scenes import SAMPLE_SCENES, Said, SampleScene
from q2a_core.world.scene import Event, Scene
from q2a_core.world.sounds.music import plan_tune
from q2a_core.world.speech import build_book
from q2a_core.world.speech.utterance_book import UtteranceBook
from q2a_core.world.tasks import ask, voice_chat
from q2a_core.world.wordings import PROMPTS

SOUND_SECONDS = 2.0
MUSIC_SECONDS = 3.5
STRENGTH = 0.2
"""Of room and microphone: a fair recording."""
TERSE = ("transcribe", "translate", "emotion", "vocal")
"""Tasks whose official wording is an instruction to a benchmark; a page suggests a paraphrase."""


def write_samples(folder: Path, *, on_progress: OnProgress = unheard) -> int:
    """Write the clips that ship, into FOLDER/clips, and FOLDER/manifest.jsonl; returns how many."""
    plan = [
        event.utterance(number)
        for number, sample in enumerate(SAMPLE_SCENES)
        for event in sample.events
        if isinstance(event, Said)
    ]
    lines = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        book = build_book(plan, Path(place) / "book", workers=1)
        for number, sample in enumerate(SAMPLE_SCENES):
            scene = sample_scene(sample, number, book)
            samples = render(scene, book).samples
            question, answer = asked_of(sample, scene)
            line = clip_line(sample.name, scene, samples)
            write_clip(folder / "clips", line, samples)
            lines.append(line | {"ask": question, "answer": answer})
            on_progress(len(lines), len(SAMPLE_SCENES))
        del book
    write_manifest(folder, lines)
    return len(lines)


def sample_scene(sample: SampleScene, number: int, book: UtteranceBook) -> Scene:
    """The scene of a shipped clip; `book` holds what is said in it."""
    places = {item: place for place, item in enumerate(book.utterances)}
    events = []
    for event in sample.events:
        if isinstance(event, Said):
            item = event.utterance(number)
            events.append(
                Event(kind="speech", label=item.text, utterance=places[item], spoken=item)
            )
            continue
        seed = 1000 + number if event.seed is None else event.seed
        tune = plan_tune(np.random.default_rng(seed)) if event.kind == "music" else None
        goes_on = event.kind != "vocal" and event.count is None
        length = MUSIC_SECONDS if tune else SOUND_SECONDS
        events.append(
            Event(
                kind=event.kind,
                label=tune.instrument if tune else event.label,
                count=event.count,
                seconds=length if goes_on else None,
                seed=seed,
                tune=tune,
                gain_db=event.gain_db,
            )
        )
    return Scene(
        kind=sample.kind,
        split="test",
        seed=7,
        index=number,
        events=tuple(events),
        overlap=sample.overlap,
        background=sample.background,
        snr_db=sample.snr_db,
        strength=STRENGTH,
    )


def asked_of(sample: SampleScene, scene: Scene) -> tuple[str | None, str]:
    """The question in plain words, None for the clip alone, and the true answer."""
    if sample.ask is None:
        return None, voice_chat(scene).answer
    if sample.ask == "is_there":
        question = PROMPTS["is_there"].official.replace("{}", sample.what)
        return question, is_there_answer(scene, sample.what)

    def plainly(task: str, what: str) -> str:
        wording = PROMPTS[task].train[0] if task in TERSE else PROMPTS[task].official
        return wording.replace("{}", what)

    task = ask(scene, sample.ask, scene.rng(2), plainly)
    text = next(part["text"] for part in task.prompt[0]["content"] if part["type"] == "text")
    return text, task.answer
