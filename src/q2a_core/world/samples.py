"""The clips that ship: scenes of the grown world by hand, one for everything that it holds, with their true answers."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from q2a_core.progress import OnProgress, unheard
from q2a_core.world.answers import is_there_answer
from q2a_core.world.manifest import clip_line, write_clip, write_manifest
from q2a_core.world.render import render
from q2a_core.world.scene import Event, Scene, SceneKind
from q2a_core.world.sounds.music import plan_tune
from q2a_core.world.speech import Utterance, build_book
from q2a_core.world.speech.prosody import settings
from q2a_core.world.speech.utterance_book import UtteranceBook
from q2a_core.world.speech.utterances import Emotion, Language
from q2a_core.world.tasks import ask, voice_chat
from q2a_core.world.wordings import PROMPTS

SOUND_SECONDS = 2.0
MUSIC_SECONDS = 3.5
STRENGTH = 0.2
"""Of room and microphone: a fair recording."""
TERSE = ("transcribe", "translate", "emotion", "vocal")
"""Tasks whose official wording is an instruction to a benchmark; a page suggests a paraphrase."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """Somebody speaks."""

    words: str
    voice: str
    language: Language = "en"
    emotion: Emotion = "neutral"
    question: str = ""
    translations: tuple[tuple[str, str], ...] = ()

    def utterance(self, seed: int) -> Utterance:
        """As the speech engine is told."""
        strength = 0.0 if self.emotion == "neutral" else 1.0
        how = settings(np.random.default_rng(seed), self.emotion, strength)
        return Utterance(
            text=self.words,
            voice=self.voice,
            rate=how.rate if strength else 150,
            pitch=how.pitch if strength else 50,
            pitch_range=how.pitch_range,
            language=self.language,
            emotion=self.emotion,
            strength=strength,
            question=self.question,
            translations=self.translations,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """Something sounds; music is a tune drawn with `seed`."""

    kind: Literal["sound", "vocal", "music"] = "sound"
    label: str = ""
    count: int | None = None
    seed: int | None = None
    gain_db: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleScene:
    """A shipped clip: its events in order, and the question that a page suggests."""

    name: str
    kind: SceneKind
    events: tuple[Said | Heard, ...] = ()
    ask: str | None = None
    """The task that is asked; None lets the clip speak for itself."""
    what: str = ""
    """What the question is about: a language, or a thing that may not be there."""
    background: str | None = None
    snr_db: float = 30.0
    overlap: bool = False


QUESTION = Said(words="what is this sound", voice="en-us+f2", question="what")

SAMPLE_SCENES = (
    SampleScene(
        name="keyboard_question",
        kind="question",
        events=(Heard(label="keyboard"), QUESTION),
        background="pink",
    ),
    SampleScene(
        name="dog_twice",
        kind="sound",
        events=(Heard(label="dog", count=2, seed=7),),
        ask="count",
    ),
    SampleScene(
        name="open_the_small_door",
        kind="speech",
        events=(Said(words="please open the small door", voice="gmw/en+m2"),),
        ask="transcribe",
        what="en",
    ),
    SampleScene(
        name="three_green_keys",
        kind="speech",
        events=(Said(words="three green keys", voice="en-us+f4"),),
    ),
    SampleScene(
        name="german_window",
        kind="speech",
        events=(
            Said(
                words="schließe das Fenster",
                voice="de+f2",
                language="de",
                translations=(("en", "close the window"),),
            ),
        ),
        ask="translate",
        what="en",
    ),
    SampleScene(
        name="chinese_five_cats",
        kind="speech",
        events=(
            Said(
                words="五只猫",
                voice="cmn+f2",
                language="zh",
                translations=(("en", "five cats"),),
            ),
        ),
        ask="transcribe",
        what="zh",
    ),
    SampleScene(
        name="angry_voice",
        kind="speech",
        events=(Said(words="close the window", voice="gmw/en+m3", emotion="anger"),),
        ask="emotion",
    ),
    SampleScene(
        name="question_bell",
        kind="question",
        events=(
            Said(words="what is this sound", voice="en-gb-x-rp+david", question="what"),
            Heard(label="bell", count=2),
        ),
        background="white",
    ),
    SampleScene(
        name="cat_and_digits",
        kind="mixed",
        events=(
            Heard(label="cat", count=1, seed=2),
            Said(words="seven three five", voice="en-us-nyc+m6"),
        ),
        ask="transcribe",
        what="en",
    ),
    SampleScene(
        name="voice_over_rain",
        kind="mixed",
        events=(
            Heard(label="rain", gain_db=-10.0),
            Said(words="the bottle is black", voice="en-gb-scotland+f3"),
        ),
        ask="name_sound",
        overlap=True,
    ),
    SampleScene(
        name="siren_in_noise",
        kind="sound",
        events=(Heard(label="siren"),),
        ask="name_sound",
        background="brown",
        snr_db=10.0,
    ),
    SampleScene(
        name="knocking_three",
        kind="sound",
        events=(Heard(label="knocking", count=3),),
        ask="count",
    ),
    SampleScene(
        name="rain",
        kind="sound",
        events=(Heard(label="rain"),),
        ask="is_there",
        what="a dog",
    ),
    SampleScene(name="rooster", kind="sound", events=(Heard(label="rooster", count=1),)),
    SampleScene(
        name="owl_then_drill",
        kind="sounds",
        events=(Heard(label="owl", count=2), Heard(label="drill")),
        ask="first",
    ),
    SampleScene(name="laughter", kind="vocal", events=(Heard(kind="vocal", label="laughter"),)),
    SampleScene(
        name="cough",
        kind="vocal",
        events=(Heard(kind="vocal", label="cough", count=2),),
        ask="vocal",
    ),
    SampleScene(
        name="tense_guitar", kind="music", events=(Heard(kind="music", seed=37),), ask="music"
    ),
    SampleScene(name="sad_organ", kind="music", events=(Heard(kind="music", seed=8),)),
    SampleScene(
        name="clock_question",
        kind="question",
        events=(
            Heard(label="clock"),
            Said(words="what do you hear", voice="gmw/en+Annie", question="what"),
        ),
        background="hum",
    ),
    SampleScene(name="silence", kind="silence", ask="name_sound"),
    SampleScene(name="noise", kind="noise", background="white"),
)


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
