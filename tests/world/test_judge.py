"""The judge on single replies: what is quoted, what is named, and what one word too many costs."""

from dataclasses import replace

import jiwer
import numpy as np
import pytest

from q2a_core.world.judge import judge
from q2a_core.world.quotes import misheard_words, split_quote
from q2a_core.world.scene import Event, Scene
from q2a_core.world.sounds.music import plan_tune
from q2a_core.world.speech import plan_utterances
from q2a_core.world.task import compose

SPOKEN = replace(
    plan_utterances("test", count=1, seed=0)[0],
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


def test_misheard_words_are_jiwers():
    rng, words = np.random.default_rng(0), ["a", "b", "c", "d"]
    for _ in range(200):
        truth, heard = (" ".join(rng.choice(words, rng.integers(1, 7))) for _ in range(2))
        found = jiwer.process_words(truth, heard)
        assert misheard_words(truth, heard)[0] == (
            found.substitutions + found.deletions + found.insertions
        )
    assert misheard_words("五只猫", "五只狗") == (1, 3)
    assert misheard_words("one two", "") == (2, 2)
    assert misheard_words("...", "one") == (1, 0)


DOG = Event(kind="sound", label="dog", count=2, seed=1)
MAN = replace(SPOKEN, trait="man")


def about(events: tuple[Event, ...], task: str, answer: str, reply: str) -> float:
    """Points for a reply to a written question about these events."""
    scene = replace(saying("one"), kind="sounds", events=events)
    return judge(scene, compose(task, ("What do you hear?", answer)), reply).score


@pytest.mark.parametrize(
    "reply",
    [
        "It is not a dog.",
        "There is not a dog.",
        "I don't hear a dog.",
        "It does not sound like a dog.",
        "I cannot tell if it is a dog or a wolf.",
        "I have no idea.",
        "No idea, maybe a dog.",
        "I am sorry, I don't know.",
        "I'm not sure. A dog?",
    ],
)
def test_who_denies_the_truth_or_does_not_know_it_earns_nothing(reply):
    assert about((DOG,), "name_sound", "This is the sound of a dog.", reply) <= 1


@pytest.mark.parametrize(
    "reply",
    ["A dog, not of a cat.", "A dog, no cat or cow.", "It does not sound like a cat but a dog."],
)
def test_what_is_denied_is_not_invented(reply):
    assert about((DOG,), "name_sound", "This is the sound of a dog.", reply) == 10


@pytest.mark.parametrize(
    ("answer", "reply", "score"),
    [
        ("No, there is no cat.", "No.", 10),
        ("No, there is no cat.", "There is no cat.", 10),
        ("No, there is no cat.", "I don't hear a cat.", 10),
        ("No, there is no cat.", "I have no idea.", 0),
        ("No, there is no cat.", "No way to tell.", 0),
        ("No, there is no cat.", "Yes, there is a cat.", 0),
        ("No, there is no cat.", "No, there is a cat.", 7),
        ("Yes, there is a dog.", "Yes, no doubt, there is a dog.", 10),
        ("Yes, there is a dog.", "There is a dog.", 10),
        ("Yes, there is a dog.", "There is no dog.", 0),
        ("Yes, there is a dog.", "A dog.", 0),
    ],
)
def test_yes_and_no_are_said_first(answer, reply, score):
    assert about((DOG,), "is_there", answer, reply) == score


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("A dog barking twice.", 10),
        ("A dog barking.", 10),
        ("A dog barking four times.", 7),
        ("A dog barking twice, then a person says something.", 7),
        ("You sound angry. You said: bravo echo charlie. I also hear a dog.", 4),
        ("A man and a dog.", 7),
    ],
)
def test_voices_feelings_and_counts_may_be_invented_too(reply, score):
    assert about((DOG,), "caption", "A dog barking twice.", reply) == score


def test_a_caption_that_tells_another_speaker_or_feeling_costs():
    speech = Event(kind="speech", label="one", utterance=0, spoken=MAN)
    right = "A man says something."
    assert about((speech,), "caption", right, right) == 10
    assert about((speech,), "caption", right, "Someone says something.") == 10
    assert about((speech,), "caption", right, "A woman says something.") == 7
    assert about((speech,), "caption", right, "A man, a woman and a child speak.") == 4
    assert about((speech,), "caption", right, "A man says something. He sounds sad.") == 7


@pytest.mark.parametrize(
    ("words", "reply"), [("red", "The cup is red."), ("angry", "the pig is angry")]
)
def test_a_word_within_a_sentence_is_no_transcript(words, reply):
    assert points(words, reply) <= 2


def test_silence_may_be_told_in_other_words():
    scene = replace(saying("one"), kind="silence", events=())
    task = compose("name_sound", ("What is this sound?", "I hear only silence."))
    for reply in ("Silence.", "Nothing.", "I hear only silence."):
        assert judge(scene, task, reply).score == 10
    assert judge(scene, task, "I hear only noise.").score <= 2


RAIN = Event(kind="sound", label="rain", seconds=1.0, seed=2)


@pytest.mark.parametrize("reply", ["A dog barking twice.", "Rain falling."])
def test_one_main_fact_of_two_is_worth_two_points(reply):
    assert about((DOG, RAIN), "caption", "A dog barking twice, then rain.", reply) == 2
    assert about((RAIN, DOG), "caption", "Rain, then a dog barking twice.", reply) == 2


def test_what_stands_beside_the_main_fact_earns_its_share_alone():
    assert points("close the window", "You said: close the window.", RAIN, task="voice_chat") == 5
    assert points("close the window", "I hear rain.", RAIN, task="voice_chat") == 2


def test_to_name_several_values_is_to_name_none():
    speech = Event(kind="speech", label="one", utterance=0, spoken=MAN)
    assert about((speech,), "speaker", "A man.", "A man.") == 10
    assert about((speech,), "speaker", "A man.", "A man or a woman.") == 0


COUGH = Event(kind="vocal", label="cough", count=1, seed=3)


@pytest.mark.parametrize(
    ("reply", "events"),
    [
        ("A man coughing.", (COUGH,)),
        ("A woman coughs, then a man says something.", (COUGH, "man")),
        ("A man says something in a neutral voice.", ("angry man",)),
        ("Sad music, slow, on a piano.", ("music",)),
    ],
)
def test_who_coughs_and_how_music_feels_is_not_invented(reply, events):
    made = {
        "man": Event(kind="speech", label="one", utterance=0, spoken=MAN),
        "angry man": Event(
            kind="speech", label="one", utterance=0, spoken=replace(MAN, emotion="anger")
        ),
        "music": Event(
            kind="music",
            label="piano",
            tune=replace(plan_tune(np.random.default_rng(3)), instrument="piano"),
        ),
    }
    heard = tuple(made.get(event, event) for event in events)
    assert about(heard, "caption", reply, reply) == 10


def test_a_translation_names_what_it_speaks_of():
    words = replace(saying("der Hund schläft"), index=1)
    task = compose("translate", ("Translate into English.", "the dog sleeps"))
    assert judge(words, task, "The dog sleeps.").score == 10


def test_an_introduction_may_be_what_was_said():
    assert points("you said no", "You said no.") == 10


def test_what_comes_first_is_what_is_named_first():
    for events, right in (((DOG, RAIN), "A dog, then rain."), ((RAIN, DOG), "Rain, then a dog.")):
        for reply in ("A dog, then rain.", "Rain, then a dog."):
            assert about(events, "first", right, reply) == (10 if reply == right else 0)
