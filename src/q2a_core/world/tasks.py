"""Dialogues about grown scenes: what each training stage asks, and the true answers with the facts behind them.

Pre-training asks in writing, often two or three things about one clip: hearing it costs more than answering does.
Fine-tuning adds what people do with an assistant: they speak to it without a word of text, ask aloud, ask on. Nothing
tells the model which mode it is in.
"""

from collections.abc import Callable

import numpy as np

from q2a_core.world import answers
from q2a_core.world.prompts import LANGUAGE_NAMES, prompt_for
from q2a_core.world.scene import Scene
from q2a_core.world.scene_shares import Stage
from q2a_core.world.sounds.music import TUNE_INSTRUMENTS
from q2a_core.world.task import Task, compose, continued, greeting
from q2a_core.world.typing_habits import retyped
from q2a_core.world.wordings import PROMPTS

Wording = Callable[[str, str], str]
"""(task, what) to the words of the question."""

PRETRAIN_SHARES: dict[str, dict[str, float]] = {
    "speech": {
        "transcribe": 0.44,
        "translate": 0.25,
        "emotion": 0.23,
        "speaker": 0.05,
        "caption": 0.03,
        "is_there": 0.04,
        "name_sound": 0.02,
    },
    "sound": {
        "name_sound": 0.5,
        "count": 0.2,
        "caption": 0.15,
        "is_there": 0.12,
        "transcribe": 0.03,
    },
    "vocal": {"vocal": 0.6, "count": 0.1, "caption": 0.15, "is_there": 0.15},
    "music": {"instrument": 0.4, "music": 0.4, "caption": 0.1, "is_there": 0.1},
    "sounds": {"first": 0.35, "caption": 0.35, "is_there": 0.3},
    "mixed": {"transcribe": 0.4, "name_sound": 0.25, "caption": 0.2, "is_there": 0.15},
    "silence": {"caption": 0.4, "transcribe": 0.3, "name_sound": 0.3},
    "noise": {"caption": 0.4, "transcribe": 0.3, "name_sound": 0.3},
}
"""How often a kind of scene is asked each thing while pre-training."""
ASKABLE = tuple(dict.fromkeys(name for shares in PRETRAIN_SHARES.values() for name in shares))
"""All tasks that pre-training knows."""
VOICE_CHAT_SHARE = 0.5
"""Fine-tuning dialogues in which the clip comes alone."""
FOLLOW_UP_SHARES: dict[Stage, tuple[float, ...]] = {"pretrain": (0.6, 0.5), "sft": (0.3, 0.3)}
"""How often a dialogue goes on for a second turn, and such a one for a third."""
IS_THERE_SHARE = 0.5
"""Follow-up questions that ask for a thing that may not be there: yes or no is little to learn from at a time."""
GREETING_SHARE = 0.02


def sample_grown_task(
    scene: Scene, rng: np.random.Generator, *, stage: Stage, tags: bool = False
) -> Task:
    """A dialogue about the scene as a stage asks it."""

    def wording(task: str, what: str) -> str:
        return prompt_for(task, rng, split=scene.split, what=what, tags=tags)

    shares = PRETRAIN_SHARES[_asked_as(scene)]
    if stage == "sft" and rng.random() < GREETING_SHARE and scene.split == "train":
        return greeting(rng)
    if stage == "sft" and rng.random() < VOICE_CHAT_SHARE:
        task = voice_chat(scene)
    elif stage == "sft" and scene.kind == "question" and rng.random() < 0.5:
        task = answer_speech(scene, wording)
    else:
        task = ask(scene, _fitting(scene, shares, rng), rng, wording)
    for share in FOLLOW_UP_SHARES[stage]:
        if rng.random() >= share:
            break
        is_there = rng.random() < IS_THERE_SHARE
        name = "is_there" if is_there else _fitting(scene, shares, rng)
        task = _with_follow_up(task, ask(scene, name, rng, wording))
    return retyped(task, rng) if scene.split == "train" and not tags else task


def voice_chat(scene: Scene) -> Task:
    """The clip alone, and what the assistant says to it."""
    return compose("voice_chat", (None, voice_chat_reply(scene)))


def voice_chat_reply(scene: Scene) -> str:
    """The true reply to the clip alone: an answer, an acknowledgement or a description."""
    speech = scene.first("speech")
    if speech is None:
        return answers.description(scene)
    if speech.spoken is not None and speech.spoken.question:
        return answers.reply_to_question(scene)
    return answers.reply_to_speech(scene)


def answer_speech(scene: Scene, wording: Wording) -> Task:
    """The clip with a spoken question, and a text that asks to answer it."""
    return compose("answer_speech", (wording("answer_speech", ""), voice_chat_reply(scene)))


def ask(scene: Scene, name: str, rng: np.random.Generator, wording: Wording) -> Task:
    """One written question of kind `name` about the scene."""
    speech, music = scene.first("speech"), scene.first("music")
    others = [event for event in scene.events if event.kind != "speech"]
    if name == "transcribe":
        language = speech.spoken.language if speech and speech.spoken else "en"
        return compose(name, (wording(name, language), answers.transcript_answer(scene)))
    if name == "translate":
        assert speech is not None
        assert speech.spoken is not None
        pairs = speech.spoken.translations
        language, text = pairs[int(rng.integers(len(pairs)))]
        return compose(name, (wording(name, LANGUAGE_NAMES[language]), text))
    if name in ("emotion", "vocal"):
        question = wording(name, "")
        keyword = question in (PROMPTS[name].official, PROMPTS[name].tags)
        answer = answers.emotion_answer if name == "emotion" else answers.vocal_answer
        return compose(name, (question, answer(scene, keyword=keyword)))
    if name == "speaker":
        return compose(name, (wording(name, ""), answers.speaker_answer(scene)))
    if name == "caption":
        return compose(name, (wording(name, ""), answers.caption(scene)))
    if name == "name_sound":
        return compose(name, (wording(name, ""), answers.sound_answer(scene)))
    if name == "count":
        counted = next(event for event in others if event.count is not None)
        return compose(name, (wording(name, ""), answers.count_answer(counted.count or 0)))
    if name == "first":
        return compose(name, (wording(name, ""), answers.first_answer(scene.events[0])))
    if name == "instrument":
        assert music is not None
        return compose(name, (wording(name, ""), f"This is {answers.noun_of(music)}."))
    if name == "music":
        assert music is not None
        assert music.tune is not None
        return compose(name, (wording(name, ""), answers.music_answer(music.tune)))
    assert name == "is_there"
    noun = _asked_noun(scene, rng)
    return compose(name, (wording(name, noun), answers.is_there_answer(scene, noun)))


def asked_tasks(scene: Scene) -> dict[str, float]:
    """What training asks of such a scene, with shares; each fits."""
    shares = PRETRAIN_SHARES[_asked_as(scene)]
    return {name: share for name, share in shares.items() if _fits(scene, name)}


def unasked_tasks(scene: Scene) -> list[str]:
    """What could be asked of the scene and has a true answer, but is never asked of its kind in training."""
    asked = PRETRAIN_SHARES[_asked_as(scene)]
    return [name for name in ASKABLE if name not in asked and _fits(scene, name)]


def _asked_as(scene: Scene) -> str:
    if scene.kind in ("question", "lone_question"):
        return "mixed" if len(scene.events) > 1 else "speech"
    return scene.kind


def _fitting(scene: Scene, shares: dict[str, float], rng: np.random.Generator) -> str:
    """A task that the scene can be asked, by its share."""
    names = [name for name in shares if _fits(scene, name)]
    weights = np.array([shares[name] for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _fits(scene: Scene, name: str) -> bool:
    speech = scene.first("speech")
    spoken = speech.spoken if speech is not None else None
    if name == "translate":
        return spoken is not None and bool(spoken.translations)
    if name == "speaker":
        return spoken is not None and bool(spoken.trait)
    if name == "emotion":
        return spoken is not None and spoken.language == "en"
    if name == "count":
        return any(event.count is not None for event in scene.events)
    if name in ("instrument", "music"):
        return scene.first("music") is not None
    if name == "vocal":
        return scene.first("vocal") is not None
    if name == "first":
        return len(scene.events) > 1 and not scene.overlap
    if name == "name_sound":
        return sum(event.kind != "speech" for event in scene.events) <= 1
    return True


def _asked_noun(scene: Scene, rng: np.random.Generator) -> str:
    """A thing that is there, or as often one that is not."""
    there = [answers.noun_of(event) for event in scene.events]
    if there and rng.random() < 0.5:
        return there[int(rng.integers(len(there)))]
    nouns = [
        answers.VOICE,
        *answers.NOUNS.values(),
        *(answers.with_article(name) for name in TUNE_INSTRUMENTS),
    ]
    true = answers.nouns_of(scene)
    absent = [noun for noun in nouns if noun not in true]
    return absent[int(rng.integers(len(absent)))]


def _with_follow_up(task: Task, follow: Task) -> Task:
    """`task`, then the question of `follow` about the same clip, unless its answer was given already."""
    if follow.answer in [message["content"] for message in task.messages]:
        return task
    question = next(part["text"] for part in follow.messages[0]["content"] if "text" in part)
    return continued(task, question, follow.answer, name=follow.name)
