"""How the grown world asks: for every task the official wording, paraphrases, held-out paraphrases, and tags.

The first five official wordings are those of the published evaluation scripts. Held-out paraphrases never occur in
training; asking with them tells understanding from recognition. `TAGS` are the hierarchical tags of Qwen-Audio, the
predecessor whose way of asking the paper left behind.
"""

from dataclasses import dataclass

import numpy as np

from q2a_core.world.speech.voices import Split

LANGUAGE_NAMES = {"en": "English", "de": "German", "zh": "Mandarin"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """The wordings of one task; "{}" stands for a language or a sound where the task has one."""

    official: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    tags: str
    """Tags after the clip, as Qwen-Audio would have them; "{}" as above."""


PROMPTS: dict[str, Prompts] = {
    "transcribe": Prompts(
        official="Detect the language and recognize the speech: <|{}|>",
        train=(
            "What does the person say?",
            "What does the speaker say?",
            "What is said in this audio?",
            "Please transcribe the speech.",
            "Transcribe the audio.",
            "Write down what the person says.",
            "Transcribe the content of the next audio clip.",
            "Which words do you hear?",
        ),
        held_out=("Write down what the speaker says.", "What is the person saying?"),
        tags="<|startoftranscript|><|{}|><|transcribe|><|{}|>",
    ),
    "translate": Prompts(
        official="Detect the language and translate the speech into {}:",
        train=(
            "Translate the speech into {}.",
            "Translate it into {}.",
            "Say it in {}.",
            "What does the person say in {}?",
            "Please translate the audio into {}.",
            "What is said in this audio, in {}?",
            "Write it down in {}.",
            "How do you say this in {}?",
        ),
        held_out=("Please say it in {}.", "Translate what the speaker says into {}."),
        tags="<|startoftranscript|><|unknown|><|translate|><|{}|>",
    ),
    "emotion": Prompts(
        official="Recognize the emotion with keywords in English:",
        train=(
            "How does the speaker feel?",
            "What is the mood of the speaker?",
            "How does the person sound?",
            "What is the emotion of the speaker?",
            "Is the speaker happy or sad?",
            "Which emotion do you hear?",
            "How does the voice sound?",
            "What does the speaker feel?",
        ),
        held_out=("What's the mood of the speaker?", "How does the person feel?"),
        tags="<|startofanalysis|><|en|><|keyword|><|en|><|emotion_recognition|>",
    ),
    "vocal": Prompts(
        official="Classify the human vocal sound to VocalSound in English:",
        train=(
            "Which vocal sound is this?",
            "What does the person do?",
            "Which sound does the person make?",
            "What is this human sound?",
            "Classify the sound of this person.",
            "What vocal sound do you hear?",
            "Name the vocal sound.",
            "What is the person doing?",
        ),
        held_out=("Which human sound is this?", "What does this person do?"),
        tags="<|startofanalysis|><|en|><|keyword|><|en|><|vocal_classification|>",
    ),
    "caption": Prompts(
        official="Generate the caption in English:",
        train=(
            "Describe the audio in one sentence.",
            "Describe this clip.",
            "What happens in this clip?",
            "What can you hear in this clip?",
            "What do you hear?",
            "Tell me what you hear.",
            "Describe what you hear.",
            "What is in this audio?",
        ),
        held_out=("Describe the clip in one sentence.", "What can you hear?"),
        tags="<|startofanalysis|><|unknown|><|caption|><|en|>",
    ),
    "name_sound": Prompts(
        official="What is this sound?",
        train=(
            "What sound is this?",
            "What is that sound?",
            "Name the sound.",
            "Which sound is this?",
            "Which sound do you hear?",
            "What makes this sound?",
            "What was that sound?",
            "What is the sound in this clip?",
        ),
        held_out=("What sound do you hear?", "Name this sound."),
        tags="<|startofanalysis|><|en|><|question|>what<|answer|>",
    ),
    "count": Prompts(
        official="How many times does it happen?",
        train=(
            "How many times?",
            "How many times do you hear it?",
            "How many times do you hear the sound?",
            "Count the sounds.",
            "How often does it happen?",
            "How many are there?",
            "How many sounds are there?",
            "How many do you hear?",
        ),
        held_out=("How many times does the sound happen?", "Count them."),
        tags="<|startofanalysis|><|en|><|question|>count<|answer|>",
    ),
    "first": Prompts(
        official="Which sound comes first?",
        train=(
            "What comes first?",
            "Which sound do you hear first?",
            "What do you hear first?",
            "What is the first sound?",
            "What happens first?",
            "Which one is first?",
            "Name the first sound.",
            "What was first?",
        ),
        held_out=("Which is the first sound?", "What can you hear first?"),
        tags="<|startofanalysis|><|en|><|question|>first<|answer|>",
    ),
    "is_there": Prompts(
        official="Is there {} in this clip?",
        train=(
            "Is there {}?",
            "Do you hear {}?",
            "Can you hear {}?",
            "Can you hear {} in this clip?",
            "Do you hear {} in this audio?",
            "Is there {} in the background?",
            "Is there {} in this audio?",
            "Tell me, is there {}?",
        ),
        held_out=("Does this clip have {}?", "Do you hear {} in the clip?"),
        tags="<|startofanalysis|><|en|><|question|>is {}<|answer|>",
    ),
    "instrument": Prompts(
        official="Which instrument plays?",
        train=(
            "What instrument is this?",
            "Which instrument do you hear?",
            "What plays the music?",
            "Name the instrument.",
            "Which instrument is this?",
            "What instrument plays?",
            "Who plays the music?",
            "What instrument do you hear?",
        ),
        held_out=("Which instrument can you hear?", "Name this instrument."),
        tags="<|startofanalysis|><|unknown|><|music|>instrument<|answer|>",
    ),
    "music": Prompts(
        official="Describe the music.",
        train=(
            "What is the music like?",
            "Is the music fast or slow?",
            "What is the tempo of the music?",
            "Is it major or minor?",
            "How does the music sound?",
            "What is the mood of the music?",
            "What emotions does the music convey?",
            "Tell me about the music.",
        ),
        held_out=("How is the music?", "Is the music happy or sad?"),
        tags="<|startofanalysis|><|unknown|><|music|>describe<|answer|>",
    ),
    "speaker": Prompts(
        official="Is the speaker a man, a woman or a child?",
        train=(
            "Who speaks?",
            "Who is the speaker?",
            "Is this a man or a woman?",
            "Is it a man, a woman or a child?",
            "Who says this?",
            "Tell me who speaks.",
            "Which person speaks?",
            "Who is speaking?",
        ),
        held_out=("Who is this person?", "Is the voice a man, a woman or a child?"),
        tags="<|startofanalysis|><|en|><|question|>who<|answer|>",
    ),
    "answer_speech": Prompts(
        official="Answer the question in the audio.",
        train=(
            "Answer the spoken question.",
            "Please answer the question.",
            "Answer the person.",
            "Please answer the speaker.",
            "Answer what the person wants to know.",
            "What is the answer?",
            "Answer the question that you hear.",
            "Listen and answer.",
        ),
        held_out=("Answer the speaker's question.", "Please answer the spoken question."),
        tags="<|startofanalysis|><|en|><|question|>spoken<|answer|>",
    ),
}
"""Wordings by task."""
TASKS = (*PROMPTS, "voice_chat", "greet")
"""All kinds of dialogues: those with a wording, the clip alone, and a turn without a clip."""


def prompt_for(
    task: str,
    rng: np.random.Generator,
    *,
    split: Split = "train",
    what: str = "",
    tags: bool = False,
) -> str:
    """One wording of a task about `what`; test questions are the official wording or a held-out one."""
    prompts = PROMPTS[task]
    if tags:
        return prompts.tags.replace("{}", what)
    wordings = (prompts.official, *(prompts.train if split == "train" else prompts.held_out))
    first = 0.25 if split == "train" else 0.5
    place = 0 if rng.random() < first else int(rng.integers(1, len(wordings)))
    return wordings[place].replace("{}", what)
