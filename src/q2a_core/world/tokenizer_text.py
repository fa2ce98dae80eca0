"""The text that the mini tokenizer is trained on, once: the grown world in three languages.

How often a line comes decides which words become one token: transcripts and frequent answers come
most, then every English word in the middle of a sentence, then capitals, German and Mandarin.
Held-out sentences and questions are not in it.
"""

from collections.abc import Iterator

import numpy as np

from q2a_core.world.speech.lexicon import (
    ENGLISH,
    GERMAN,
    MANDARIN,
    WEAK_NOUNS,
    english_words,
    first_world_words,
    plural,
)
from q2a_core.world.speech.sentences import SPOKEN_QUESTIONS, sample_sentence

SAMPLED_SENTENCES = 3000

# the first five are the prompts of the official evaluation, without the language's tag
PROMPTS: tuple[str, ...] = (
    "Detect the language and recognize the speech:",
    "Detect the language and translate the speech into German:",
    "Detect the language and translate the speech into Mandarin:",
    "Recognize the emotion with keywords in English:",
    "Classify the human vocal sound to VocalSound in English:",
    "Generate the caption in English:",
    "Detect the language and translate the speech into English:",
    "You are a helpful assistant.",
    "Audio 1: \n",
    "Audio 2: \n",
    "What is this sound?",
    "What sound is this?",
    "What do you hear?",
    "What can you hear in this clip?",
    "What does the person say?",
    "What does the speaker say?",
    "What is said in this audio?",
    "Please transcribe the speech.",
    "Write down what you hear.",
    "Transcribe the audio.",
    "Transcribe the content of the next audio clip.",
    "Translate the speech into German.",
    "Translate it into Mandarin.",
    "Say it in English.",
    "Describe the audio in one sentence.",
    "Describe this clip.",
    "Name the sound.",
    "Which sound comes first?",
    "How many times does it happen?",
    "And how many times?",
    "Which is louder?",
    "Is there a dog in this clip?",
    "Is there music in the background?",
    "How does the speaker feel?",
    "What is the mood of the speaker?",
    "Is the speaker a man, a woman or a child?",
    "Which instrument plays?",
    "Is the music fast or slow?",
    "Is it major or minor?",
    "What is the tempo?",
    "Is this a question?",
)

ANSWERS: tuple[str, ...] = (
    "I hear only silence.",
    "I hear only noise.",
    "I hear silence. There is no sound in this clip.",
    "There is no speech in this clip.",
    "Nobody speaks in this clip.",
    "I do not know.",
    "I am sorry to hear that.",
    "You are welcome.",
    "The speaker sounds angry.",
    "The speaker sounds happy.",
    "The speaker sounds sad.",
    "The speaker sounds afraid.",
    "The speaker sounds calm.",
    "The speaker is a man.",
    "The speaker is a woman.",
    "The speaker is a child.",
    "The music is slow and sad, in a minor key.",
    "The music is fast and happy, in a major key.",
    "The tempo is slow, about 60 beats per minute.",
    "The tempo is fast, about 120 beats per minute.",
    "A man says something, then a door closes.",
    "A dog barks twice, then a person says something.",
    "A clock ticks while a person speaks in the background.",
    "Someone is typing on a keyboard.",
    "Someone knocks on the door three times.",
    "It happens once. It happens twice. It happens three times.",
    "First I hear a bell, then a cat, and at the end an engine.",
    "A cat meows. A cow moos. A sheep bleats. A horse neighs. A rooster crows. A duck quacks.",
    "An owl hoots. A frog croaks. A bell rings. A siren wails. A horn honks. Rain falls.",
    "Laughter, sigh, cough, throat clearing, sneeze, sniff.",
    "anger, joy, sadness, fear, neutral",
    "The first clip is louder. The second clip is louder. Both are loud.",
    "ein Geräusch, die Stimme, das Wetter, der Regen, ein Lied, die Musik",
)

SOUNDS: tuple[str, ...] = (
    *("a dog", "a cat", "a cow", "a sheep", "a horse", "a rooster", "a duck", "a crow", "an owl"),
    *("a frog", "a bird", "a bell", "an alarm", "a siren", "a horn", "an engine", "rain", "wind"),
    *("thunder", "a keyboard", "typing", "knocking", "a clock", "a drill", "breaking glass"),
    *("a piano", "a guitar", "a violin", "a flute", "a drum", "a trumpet", "music", "silence"),
    *("noise", "water", "a phone", "a door", "a person", "laughter", "a cough", "a sneeze"),
)

# the full-width comma and question mark of Chinese typesetting
COMMA, QUESTION = "\uff0c", "\uff1f"
ACCUSATIVE = {"der": "einen", "die": "eine", "das": "ein"}


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" and noun != "uniform" else f"a {noun}"


def _english() -> Iterator[str]:
    """Every word at the start, in the middle and with a capital; answers about every sound."""
    first = set(first_world_words())
    for word in english_words():
        yield from [f"the {word}"] * (60 if word in first else 18)
        yield from [word] * (30 if word in first else 4)
        yield from [word.capitalize()] * 4
    for noun in (*ENGLISH["animals"], *ENGLISH["household"]):
        yield from [f"the {plural(noun)}"] * 12
    for noun in (*ENGLISH["more_animals"], *ENGLISH["more_household"]):
        yield from (f"{_article(noun)}", f"three {plural(noun)}")
    for sound in SOUNDS:
        yield from [f"This is the sound of {sound}."] * 12
        yield from [f"I hear {sound}."] * 8
        yield from (f"It is {sound}.", f"Yes, there is {sound}.", f"There is {sound}.")
        yield from (f"No, I hear {sound}.", f"{sound.capitalize()} in the background.")


def _speech() -> Iterator[str]:
    """Transcripts as they are answered, asked about and replied to."""
    rng = np.random.default_rng(0)
    for number in range(SAMPLED_SENTENCES):
        text = sample_sentence(rng, split="train")
        yield text
        if number % 4 == 0:
            yield f'You said: "{text}".'
            yield f"A person says: {text}"
        if number % 10 == 0:
            yield f"{text.capitalize()}."
    for question in SPOKEN_QUESTIONS["train"]:
        yield from [question] * 10
        yield from [f"{question.capitalize()}?"] * 3


def _german() -> Iterator[str]:
    """Every word, and short sentences with the right article."""
    nouns = [entry for family in GERMAN.values() for entry in family if entry[2]]
    qualities = [word for name in ("colours", "adjectives") for _, word, _ in GERMAN[name]]
    for family in GERMAN.values():
        for _, word, article in family:
            yield from [f"die {word}"] * 12
            yield from [word] * 3
            yield f"{article} {word}".strip().capitalize()
    for number, (_, noun, article) in enumerate(nouns):
        quality = qualities[number % len(qualities)]
        other = WEAK_NOUNS.get(noun, noun)
        yield from [f"{article.capitalize()} {noun} ist {quality}."] * 2
        yield from [f"Ich höre {ACCUSATIVE[article]} {other}."] * 2
        yield f"Das ist {article} {noun}."
        yield f"Der Hund sieht {ACCUSATIVE[article]} {other}."
    yield from ["Was ist das für ein Geräusch?", "Du hast gesagt:", "Bitte öffne die Tür."] * 4


def _mandarin() -> Iterator[str]:
    """Every word, and short sentences with the right measure word."""
    nouns = [entry for family in MANDARIN.values() for entry in family if entry[2]]
    colours = [word for _, word, _ in MANDARIN["colours"]]
    numbers = [word for _, word, _ in MANDARIN["numbers"][3:11]]
    for family in MANDARIN.values():
        for _, word, _ in family:
            yield from [word] * 14
    for number, (_, noun, measure) in enumerate(nouns):
        count = numbers[number % len(numbers)]
        yield from [f"这是{noun}的声音。"] * 3
        yield from [f"{noun}是{colours[number % len(colours)]}的。"] * 3
        yield from [f"{count}{measure}{noun}", f"一{measure}{noun}", f"我听到{noun}。"] * 2
        yield f"狗看见一{measure}{noun}。"
    yield from [f"这是什么声音{QUESTION}", "你说的是", f"请打开门{COMMA}谢谢。", "你好。"] * 6


def tokenizer_text() -> Iterator[str]:
    """The lines to train the tokenizer on, the same in every call and on every machine."""
    for prompt in PROMPTS:
        yield from [prompt] * 20
    for answer in ANSWERS:
        yield from [answer] * 6
    yield from _english()
    yield from _speech()
    yield from _german()
    yield from _mandarin()
