"""How people type a question: small letters, no mark at the end, a greeting before it, a word the model never saw.

Training wordings are few, and a model that has seen only those takes an unknown word for a hint at another task. So
a part of its questions is changed as a hurried person would, or a word of it is replaced by any other: what is asked
must follow from the rest of the question and from the clip.
"""

from dataclasses import replace

import numpy as np

from q2a_core.text.chat import Message
from q2a_core.world import answers
from q2a_core.world.prompts import LANGUAGE_NAMES
from q2a_core.world.sounds.music import TUNE_INSTRUMENTS
from q2a_core.world.speech.lexicon import english_words
from q2a_core.world.task import Task

CHANGED_SHARE = 0.5
"""Questions that are changed at all."""
STRAY_SHARE, SMALL_SHARE, OPENING_SHARE, CLOSING_SHARE = 0.5, 0.3, 0.25, 0.15
"""Of these: a stray word, small letters without an end mark, something before, something after."""
OPENINGS = (
    "Please tell me:",
    "Hi!",
    "Okay.",
    "Now",
    "Listen:",
    "And",
    "So,",
    "One more question:",
    "Please",
    "Hello,",
    "Tell me,",
    "Can you tell me:",
    "I want to know:",
    "Quick question:",
)
CLOSINGS = ("Please.", "Thanks.", "Thank you!", "Can you tell me?", "It is urgent.")
SHORTEST = 3
"""Words that a question must have for one of them to be replaced."""


def retyped(task: Task, rng: np.random.Generator) -> Task:
    """The same dialogue with some of its written questions changed; answers stay."""
    return replace(task, messages=tuple(_message(message, rng) for message in task.messages))


def retype(question: str, rng: np.random.Generator) -> str:
    """A question as somebody else might type it; languages and things asked for stay as they are."""
    if rng.random() >= CHANGED_SHARE:
        return question
    words = question.split(" ")
    places = [place for place, word in enumerate(words) if _bare(word) not in KEPT]
    if rng.random() < STRAY_SHARE and len(words) >= SHORTEST and places:
        words[places[int(rng.integers(len(places)))]] = STRAYS[int(rng.integers(len(STRAYS)))]
    text = " ".join(words)
    if rng.random() < SMALL_SHARE:
        text = text.rstrip(".?!:").lower()
    if rng.random() < OPENING_SHARE:
        text = f"{OPENINGS[int(rng.integers(len(OPENINGS)))]} {text}"
    if rng.random() < CLOSING_SHARE:
        text = f"{text} {CLOSINGS[int(rng.integers(len(CLOSINGS)))]}"
    return text


def _message(message: Message, rng: np.random.Generator) -> Message:
    if message["role"] != "user":
        return message
    parts = [
        {**part, "text": retype(part["text"], rng)} if "text" in part else part
        for part in message["content"]
    ]
    return {**message, "content": parts}


def _bare(word: str) -> str:
    return word.strip(".,?!:").lower()


_THINGS = {
    word
    for noun in (answers.VOICE, *answers.NOUNS.values(), *TUNE_INSTRUMENTS)
    for word in noun.lower().split(" ")
}
KEPT = {
    *(name.lower() for name in LANGUAGE_NAMES.values()),
    *(f"<|{language}|>" for language in LANGUAGE_NAMES),
    *_THINGS,
}
"""Words that say what is asked for, and never change."""
STRAYS = tuple(word for word in english_words() if word not in KEPT)
"""Any other English word."""
