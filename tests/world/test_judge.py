"""The judge on single replies: what is quoted, what is named, and what one word too many costs."""

from dataclasses import replace

import jiwer
import numpy as np
import pytest

from q2a_core.world.dialogues import compose
from q2a_core.world.judge import judge
from q2a_core.world.quotes import split_quote, word_errors
from q2a_core.world.scene import Event, Scene
from q2a_core.world.speech import plan_utterances

SPOKEN = replace(
    plan_utterances("test", count=1, seed=0, level="grown")[0],
    question="",
    emotion="neutral",
    language="en",
)


def saying(words: str, *others: Event) -> Scene:
    speech = Event(kind="speech", label=words, utterance=0, spoken=replace(SPOKEN, text=words))
    return Scene(
        kind="mixed" if others else "speech",
        split="test",
        seed=0,
        index=0,
        events=(*others, speech),
        overlap=False,
        background=None,
        snr_db=40.0,
        strength=0.0,
    )


def points(words: str, reply: str, *others: Event, task: str = "transcribe") -> float:
    question = None if task == "voice_chat" else "What is the person saying?"
    return judge(saying(words, *others), compose(task, (question, words)), reply).score


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ("twenty", "Twenty three."),
        ("six", "six hundred"),
        ("十", "十一"),
        ("狗", "狗和猫"),
        ("red cup", "red blue green yellow black cup spoon table"),
        ("no", "No, there is no dog."),
        ("first", "First I hear a dog."),
        ("dog", "Dog barking, then a cat."),
    ],
)
def test_more_than_was_said_is_no_transcript(words, reply):
    assert points(words, reply) <= 2


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ("close the window", "Close the window!"),
        ("close the window", "The speaker says: close the window."),
        ("close the window", 'The person says "close the window".'),
        ("close the window", "I hear a man saying close the window."),
        ("he says no", "he says no"),
        ("what is the word", "What is the word?"),
        ("no", "The answer is no."),
        ("狗", "狗。"),
    ],
)
def test_a_transcript_may_be_introduced(words, reply):
    assert points(words, reply) == 10


@pytest.mark.parametrize(
    ("words", "reply", "score"),
    [
        ("the frog sees a cup", "You said: the dog sees a cup.", 6),
        ("the frog", "You said: the dog.", 0),
        ("the frog", "You said: the frog. I also hear a dog.", 7),
        ("no", "You said no.", 10),
        ("slow", "The music is slow and sad, in a minor key.", 0),
        ("狗", "你说：狗。", 10),
        ("狗", "你说：猫。", 0),
    ],
)
def test_a_word_that_is_misheard_is_no_sound_that_is_invented(words, reply, score):
    assert points(words, reply, task="voice_chat") == score


def test_what_is_heard_counts_beside_the_same_word_said():
    for word, label, caption in (
        ("glass", "glass", "Glass breaking, then a man says something."),
        ("rain", "rain", "Rain falling while a woman says something."),
        ("dog", "dog", "A dog barking once, then a child says something."),
    ):
        heard = Event(kind="sound", label=label, seconds=1.0, seed=1)
        assert points(word, caption, heard, task="caption") == 10
        assert points(word, "A cat meowing, then a man.", heard, task="caption") <= 2


def test_plurals_name_a_sound_and_invent_one():
    dog = Event(kind="sound", label="dog", count=2, seed=1)
    scene = replace(saying("one", dog), kind="sound", events=(dog,))
    task = compose("name_sound", ("What is this sound?", "This is the sound of a dog."))
    assert judge(scene, task, "I hear dogs.").score == 10
    assert judge(scene, task, "This is the sound of a dog and cats.").score == 7
    assert judge(scene, task, "I hear no cats, only a dog.").score == 10


def test_the_instrument_or_vocal_sound_that_is_asked_for_is_enough():
    vocal = Event(kind="vocal", label="throat_clearing", count=1, seed=1)
    frog = Event(kind="sound", label="frog", count=1, seed=2)
    scene = replace(saying("one"), kind="sounds", events=(frog, vocal))
    task = compose("vocal", ("Classify the vocal sound.", "throat clearing"))
    assert judge(scene, task, "throat clearing").score == 10
    assert judge(scene, task, "cough").score <= 2


def test_what_stands_after_a_quote_is_the_replys_own():
    assert split_quote("You said: no. I also hear a dog.") == (
        "You said:  . I also hear a dog.",
        "no",
    )
    assert split_quote("The music is slow.") == ("The music is slow.", None)
    assert split_quote("You said:")[1] is None


def test_word_errors_are_jiwers():
    rng, words = np.random.default_rng(0), ["a", "b", "c", "d"]
    for _ in range(200):
        truth, heard = (" ".join(rng.choice(words, rng.integers(1, 7))) for _ in range(2))
        found = jiwer.process_words(truth, heard)
        assert word_errors(truth, heard)[0] == (
            found.substitutions + found.deletions + found.insertions
        )
    assert word_errors("五只猫", "五只狗") == (1, 3)
    assert word_errors("one two", "") == (2, 2)
    assert word_errors("...", "one") == (1, 0)
