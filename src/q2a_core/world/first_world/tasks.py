"""What is asked about a scene of the first world, and what is true to answer.

A clip alone is voice chat, a clip with a text question is audio analysis. Nothing tells the model
which is which: a spoken question is answered, a statement is acknowledged, a sound is named.
"""

import numpy as np

from q2a_core.world.answers import (
    NO_SPEECH,
    ONLY_NOISE,
    ONLY_SILENCE,
    ONLY_VOICE,
    count_answer,
)
from q2a_core.world.scene import Event, Scene
from q2a_core.world.sounds import SOUND_CLASSES
from q2a_core.world.task import (
    GREETING_REPLY,
    GREETINGS,
    Task,
    compose,
    continued,
    greeting,
)

GREETING_SHARE = 0.01
"""Training dialogues without a clip."""
TRANSCRIBE = (
    "Detect the language and recognize the speech: <|en|>",
    "What does the person say?",
    "What does the speaker say?",
    "What is said in this audio?",
    "Please transcribe the speech.",
    "Transcribe the audio.",
    "Write down what the person says.",
)
NAME_SOUND = (
    "What is this sound?",
    "What sound is this?",
    "What is that sound?",
    "What do you hear?",
    "What can you hear in this clip?",
    "Name the sound.",
    "Which sound is this?",
    "Generate the caption in English:",
)
COUNT = ("How many times?", "How many times does it happen?", "And how many times?")
IS_THERE = ("Is there {} in this clip?", "Is there {}?", "Do you hear {}?", "Can you hear {}?")
ANSWER_SPEECH = ("Answer the question in the audio.", "Answer the spoken question.")

NOUNS = {sound.label: sound.noun for sound in SOUND_CLASSES}


def sample_dialogue(scene: Scene, rng: np.random.Generator) -> Task:
    """A dialogue about the scene, or now and then a greeting in training."""
    if rng.random() < GREETING_SHARE and scene.split == "train":
        return greeting(rng)
    return sample_task(scene, rng)


def sound_answer(label: str) -> str:
    """The sentence that names a sound."""
    return f"This is the sound of {NOUNS[label]}."


def voice_chat_answer(scene: Scene) -> str:
    """What the assistant says to a clip that comes without a word of text."""
    speech, sound = scene.first("speech"), scene.first("sound")
    if scene.kind in ("silence", "noise"):
        return ONLY_SILENCE if scene.kind == "silence" else ONLY_NOISE
    if scene.kind == "lone_question":
        return ONLY_VOICE
    if speech is None:
        assert sound is not None
        return sound_answer(sound.label)
    if scene.kind == "question":
        assert sound is not None
        return sound_answer(sound.label)
    said = f"You said: {speech.label}."
    return said if sound is None else f"{said} I also hear {NOUNS[sound.label]}."


def analysis_answer(scene: Scene, task: str) -> str:
    """The true answer to a text question of kind `task`: transcribe, name_sound."""
    speech, sound = scene.first("speech"), scene.first("sound")
    if task == "transcribe":
        return NO_SPEECH if speech is None else speech.label
    if sound is not None:
        return sound_answer(sound.label)
    if speech is not None:
        return ONLY_VOICE
    return ONLY_SILENCE if scene.kind == "silence" else ONLY_NOISE


def sample_task(scene: Scene, rng: np.random.Generator) -> Task:
    """A dialogue about the scene, drawn at random."""
    draw = rng.random()
    sound = scene.first("sound")
    if scene.kind == "speech":
        name = "transcribe" if draw < 0.6 else "voice_chat" if draw < 0.95 else "name_sound"
    elif scene.kind == "sound":
        name = _sound_task(sound, draw)
    elif scene.kind == "question":
        name = (
            "voice_chat"
            if draw < 0.7
            else "answer_speech"
            if draw < 0.8
            else "transcribe"
            if draw < 0.9
            else "name_sound"
        )
    elif scene.kind == "both":
        name = "voice_chat" if draw < 0.3 else "transcribe" if draw < 0.65 else "name_sound"
    else:
        name = "voice_chat" if draw < 0.5 else "name_sound" if draw < 0.75 else "transcribe"
    return make_task(scene, name, rng)


def make_task(scene: Scene, name: str, rng: np.random.Generator) -> Task:
    """The dialogue of one kind about the scene; the wording is drawn."""
    sound = scene.first("sound")
    if name == "voice_chat":
        return compose(name, (None, voice_chat_answer(scene)))
    if name == "answer_speech":
        return compose(name, (_pick(ANSWER_SPEECH, rng), voice_chat_answer(scene)))
    if name == "transcribe":
        return compose(name, (_pick(TRANSCRIBE, rng), analysis_answer(scene, name)))
    if name == "name_sound":
        return compose(name, (_pick(NAME_SOUND, rng), analysis_answer(scene, name)))
    if name == "count":
        assert sound is not None
        assert sound.count is not None
        answer = count_answer(sound.count)
        if rng.random() < 0.5:
            return compose(name, (_pick(COUNT, rng), answer))
        first = None if rng.random() < 0.5 else _pick(NAME_SOUND, rng)
        named = compose(
            "voice_chat" if first is None else "name_sound", (first, sound_answer(sound.label))
        )
        return continued(named, _pick(COUNT, rng), answer, name=name)
    assert name == "is_there"
    assert sound is not None
    asked = (
        sound.label if rng.random() < 0.5 else _pick([k for k in NOUNS if k != sound.label], rng)
    )
    question = _pick(IS_THERE, rng).format(NOUNS[asked])
    heard = f"there is {NOUNS[sound.label]}."
    answer = f"Yes, {heard}" if asked == sound.label else f"No, {heard}"
    return compose(name, (question, answer))


def all_texts() -> list[str]:
    """Every fixed prompt and answer of the first world, for the tokenizer."""
    fixed = [*TRANSCRIBE, *NAME_SOUND, *COUNT, *ANSWER_SPEECH, *GREETINGS, GREETING_REPLY]
    fixed += [ONLY_SILENCE, ONLY_NOISE, ONLY_VOICE, NO_SPEECH]
    fixed += [count_answer(n) for n in range(1, 5)]
    for label, noun in NOUNS.items():
        fixed += [sound_answer(label), f"You said: I also hear {noun}.", f"Yes, there is {noun}."]
        fixed += [f"No, there is {noun}.", *(question.format(noun) for question in IS_THERE)]
    return fixed


def _sound_task(sound: Event | None, draw: float) -> str:
    if sound is not None and sound.count is not None and draw < 0.25:
        return "count"
    return (
        "voice_chat"
        if draw < 0.45
        else "name_sound"
        if draw < 0.8
        else "is_there"
        if draw < 0.95
        else "transcribe"
    )


def _pick(choices: tuple[str, ...] | list[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
