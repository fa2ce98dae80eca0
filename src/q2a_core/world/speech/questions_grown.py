"""What is asked of the assistant aloud in the grown world: six kinds of question, worded for each split.

A speaker who says one of these wants an answer about the clip; nothing else that is said is worded so.
"""

import numpy as np

from q2a_core.world.speech.sentences import SPOKEN_QUESTIONS
from q2a_core.world.speech.translations import weighted
from q2a_core.world.speech.voices import Split

QUESTIONS_GROWN: dict[str, dict[Split, tuple[str, ...]]] = {
    "what": {
        "train": (
            *SPOKEN_QUESTIONS["train"],
            *("what is that noise", "what was that noise", "name the sound", "what can i hear"),
            *("what makes this sound", "what is making that noise", "can you name this sound"),
        ),
        "test": (*SPOKEN_QUESTIONS["test"], "what is this noise", "name this sound"),
    },
    "count": {
        "train": (
            *("how many times", "how many times did it happen", "how often did it happen"),
            *("how many times do you hear it", "how many times was that", "how often was that"),
            *("how many times do you hear this sound", "count the sounds", "count how many times"),
            *("tell me how many times it happened", "how many times did you hear that"),
        ),
        "test": (
            *("how many times does it happen", "how often do you hear it", "count it"),
            *("how many times did you hear it", "tell me how often it happened"),
        ),
    },
    "first": {
        "train": (
            *("what came first", "which sound came first", "what do you hear first"),
            *("which sound was first", "what was the first sound", "what happened first"),
            *("tell me what came first", "which one came first", "what did you hear first"),
        ),
        "test": (
            *("what sound came first", "which sound do you hear first", "what was first"),
            *("tell me which sound was first", "which was the first sound"),
        ),
    },
    "which_instrument": {
        "train": (
            *("which instrument is this", "what instrument is playing", "name the instrument"),
            *("what instrument do you hear", "which instrument plays", "what is it that plays"),
            *("which instrument do you hear", "tell me which instrument this is"),
            *("what kind of instrument is this", "which instrument plays the music"),
        ),
        "test": (
            *("what instrument is this", "which instrument is playing", "what instrument plays"),
            *("tell me what instrument you hear", "name this instrument"),
        ),
    },
    "music_speed": {
        "train": (
            *("is the music fast or slow", "is this music slow or fast", "how fast is the music"),
            *("is the song fast or slow", "how fast is this song", "is it fast or slow"),
            *("tell me if the music is fast or slow", "is that music fast or slow"),
            *("is it slow or fast music", "how fast does the music play"),
        ),
        "test": (
            *("is this music fast or slow", "how fast is this music", "is the song slow or fast"),
            *("how fast is the song", "is it slow or fast"),
        ),
    },
    "who": {
        "train": (
            *("is this a man or a woman", "is the speaker a man or a woman", "who is speaking"),
            *("is this a man a woman or a child", "who is the speaker", "which person is speaking"),
            *("tell me who is speaking", "is that a man or a woman", "who said that"),
            *("is it a man a woman or a child", "who do you hear"),
        ),
        "test": (
            *("is the speaker a man a woman or a child", "who speaks", "who is this speaker"),
            *("is this speaker a man or a woman", "tell me who the speaker is"),
        ),
    },
}
"""Kind of a spoken question, and its wordings for each split."""

QUESTION_SHARES = {"what": 0.4} | {kind: 0.12 for kind in QUESTIONS_GROWN if kind != "what"}

QUESTION_SPLITS: dict[str, Split] = {
    text: split
    for wordings in QUESTIONS_GROWN.values()
    for split, texts in wordings.items()
    for text in texts
}
"""The split of every wording."""


def sample_question(rng: np.random.Generator, *, split: Split) -> tuple[str, str]:
    """The kind and the wording of a question to the assistant."""
    kinds = tuple(QUESTION_SHARES)
    kind = kinds[weighted(rng, tuple(QUESTION_SHARES.values()))]
    texts = QUESTIONS_GROWN[kind][split]
    return kind, texts[int(rng.integers(len(texts)))]
