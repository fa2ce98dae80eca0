"""Every task's wordings: the official one, what training asks with, what only tests ask with, and tags.

The first five official wordings are those of the published evaluation, whose scripts read them from files, as its users
quote them; that of translation leaves the tag of the source's language out. Wordings of one task are parted by slashes;
"{}" stands for a language or a thing where the task has one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """The wordings of one task."""

    official: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    """Never asked in training, though its words may occur there."""
    tags: str
    """Tags after the clip, as Qwen-Audio, the predecessor, would have them."""


def _prompts(official: str, *, train: str, held_out: str, tags: str) -> Prompts:
    def parted(text: str) -> tuple[str, ...]:
        return tuple(" ".join(part.split()) for part in text.split("/"))

    return Prompts(official=official, train=parted(train), held_out=parted(held_out), tags=tags)


PROMPTS: dict[str, Prompts] = {
    "transcribe": _prompts(
        "Detect the language and recognize the speech: <|{}|>",
        train="""
            What does the person say? / What does the speaker say? / What is said in this audio? / Please
            transcribe the speech. / Transcribe the audio. / Write down what the person says. / Transcribe
            the content of the next audio clip. / Which words do you hear? / What did he say? / What did she
            say? / What are they saying? / Tell me what is being said. / Tell me what the person says. /
            Repeat what you hear, word for word. / What is being said here? / Give me the words. / Which
            words does the speaker use? / Transcribe this. / Type what you hear. / Recognize the speech.
        """,
        held_out="Write down what the speaker says. / What is the person saying?",
        tags="<|startoftranscript|><|{}|><|transcribe|><|{}|>",
    ),
    "translate": _prompts(
        "Detect the language and translate the speech into {}:",
        train="""
            Translate the speech into {}. / Translate it into {}. / Say it in {}. / What does the person say
            in {}? / Please translate the audio into {}. / What is said in this audio, in {}? / Write it
            down in {}. / How do you say this in {}? / Translate to {}. / Translate this into {}, please. /
            What is that in {}? / Give me the words in {}. / Tell me in {} what the speaker says. / {},
            please. / Now in {}. / Translate what you hear into {}.
        """,
        held_out="Please say it in {}. / Translate what the speaker says into {}.",
        tags="<|startoftranscript|><|unknown|><|translate|><|{}|>",
    ),
    "emotion": _prompts(
        "Recognize the emotion with keywords in English:",
        train="""
            How does the speaker feel? / What is the mood of the speaker? / How does the person sound? /
            What is the emotion of the speaker? / Is the speaker happy or sad? / Which emotion do you hear?
            / How does the voice sound? / What does the speaker feel? / What is the person feeling? / Is he
            angry? / Tell me how she feels. / What feeling is in the voice? / Does the speaker sound happy,
            sad, angry or afraid? / What mood is this person in? / Describe the emotion. / Recognize the
            emotion. / Which mood do you hear? / Are they calm or afraid?
        """,
        held_out="What's the mood of the speaker? / How does the person feel?",
        tags="<|startofanalysis|><|en|><|keyword|><|en|><|emotion_recognition|>",
    ),
    "vocal": _prompts(
        "Classify the human vocal sound to VocalSound in English:",
        train="""
            Which vocal sound is this? / What does the person do? / Which sound does the person make? / What
            is this human sound? / Classify the sound of this person. / What vocal sound do you hear? / Name
            the vocal sound. / What is the person doing? / What did the person do? / What are they doing? /
            Is this a cough or a laugh? / What noise does this person make? / Classify the vocal sound. /
            Which sound comes from the person? / What is that human sound? / Recognize the vocal sound.
        """,
        held_out="Which human sound is this? / What does this person do?",
        tags="<|startofanalysis|><|en|><|keyword|><|en|><|vocal_classification|>",
    ),
    "caption": _prompts(
        "Generate the caption in English:",
        train="""
            Describe the audio in one sentence. / Describe this clip. / What happens in this clip? / What
            can you hear in this clip? / What do you hear? / Tell me what you hear. / Describe what you
            hear. / What is in this audio? / What is going on here? / Give a caption. / Caption this audio.
            / Describe the sounds. / What is happening? / Write a caption for the clip. / Tell me about this
            clip. / What is to be heard here? / Summarize the clip. / Describe it.
        """,
        held_out="Describe the clip in one sentence. / What can you hear?",
        tags="<|startofanalysis|><|unknown|><|caption|><|en|>",
    ),
    "name_sound": _prompts(
        "What is this sound?",
        train="""
            What sound is this? / What is that sound? / Name the sound. / Which sound is this? / Which sound
            do you hear? / What makes this sound? / What was that sound? / What is the sound in this clip? /
            What's that noise? / What is making that sound? / What kind of sound is this? / Identify the
            sound. / Tell me what sound this is. / What am I hearing? / Which sound was that? / What could
            this be? / Recognize the sound. / Do you know this sound?
        """,
        held_out="What sound do you hear? / Name this sound.",
        tags="<|startofanalysis|><|en|><|question|>what<|answer|>",
    ),
    "count": _prompts(
        "How many times does it happen?",
        train="""
            How many times? / How many times do you hear it? / How many times do you hear the sound? / Count
            the sounds. / How often does it happen? / How many are there? / How many sounds are there? / How
            many do you hear? / How many times did it happen? / Tell me how many times. / How many did you
            hear? / Count how often you hear it. / What is the number of sounds? / How many times was that?
            / How often do you hear it? / Once, twice, or more?
        """,
        held_out="How many times does the sound happen? / Count them.",
        tags="<|startofanalysis|><|en|><|question|>count<|answer|>",
    ),
    "first": _prompts(
        "Which sound comes first?",
        train="""
            What comes first? / Which sound do you hear first? / What do you hear first? / What is the first
            sound? / What happens first? / Which one is first? / Name the first sound. / What was first? /
            Which came first? / Tell me which sound is first. / What did you hear first? / What starts
            first? / Which sound starts the clip? / What is at the beginning? / Which of them comes first? /
            What did you hear at first?
        """,
        held_out="Which is the first sound? / What can you hear first?",
        tags="<|startofanalysis|><|en|><|question|>first<|answer|>",
    ),
    "is_there": _prompts(
        "Is there {} in this clip?",
        train="""
            Is there {}? / Do you hear {}? / Can you hear {}? / Can you hear {} in this clip? / Do you hear
            {} in this audio? / Is there {} in the background? / Is there {} in this audio? / Tell me, is
            there {}? / Is there any sound of {}? / Did you hear {}? / Was that {}? / Could you hear {}? /
            Is {} in the clip? / Can {} be heard? / Is {} there? / Are you hearing {}? / Do I hear {}? /
            Tell me if you hear {}.
        """,
        held_out="Does this clip have {}? / Do you hear {} in the clip?",
        tags="<|startofanalysis|><|en|><|question|>is {}<|answer|>",
    ),
    "instrument": _prompts(
        "Which instrument plays?",
        train="""
            What instrument is this? / Which instrument do you hear? / What plays the music? / Name the
            instrument. / Which instrument is this? / What instrument plays? / Who plays the music? / What
            instrument do you hear? / What is playing? / Tell me the instrument. / Which instrument was
            that? / What kind of instrument is it? / Identify the instrument. / Recognize the instrument. /
            What is being played? / What do they play?
        """,
        held_out="Which instrument can you hear? / Name this instrument.",
        tags="<|startofanalysis|><|unknown|><|music|>instrument<|answer|>",
    ),
    "music": _prompts(
        "Describe the music.",
        train="""
            What is the music like? / Is the music fast or slow? / What is the tempo of the music? / Is it
            major or minor? / How does the music sound? / What is the mood of the music? / What emotions
            does the music convey? / Tell me about the music. / What kind of music is this? / Is this music
            happy or calm? / Tell me the tempo and the mood. / How fast is the music? / What is this music
            like? / Describe this piece. / Is the key major or minor? / How would you describe the music?
        """,
        held_out="How is the music? / Is the music happy or sad?",
        tags="<|startofanalysis|><|unknown|><|music|>describe<|answer|>",
    ),
    "speaker": _prompts(
        "Is the speaker a man, a woman or a child?",
        train="""
            Who speaks? / Who is the speaker? / Is this a man or a woman? / Is it a man, a woman or a child?
            / Who says this? / Tell me who speaks. / Which person speaks? / Who is speaking? / Who is
            talking? / Who said that? / Is he a man or a child? / Is it a woman? / What kind of person
            speaks? / Whose voice is this? / Tell me who the speaker is. / Do you hear a man, a woman or a
            child?
        """,
        held_out="Who is this person? / Is the voice a man, a woman or a child?",
        tags="<|startofanalysis|><|en|><|question|>who<|answer|>",
    ),
    "answer_speech": _prompts(
        "Answer the question in the audio.",
        train="""
            Answer the spoken question. / Please answer the question. / Answer the person. / Please answer
            the speaker. / Answer what the person wants to know. / What is the answer? / Answer the question
            that you hear. / Listen and answer. / Reply to the question. / What would you answer? / Give an
            answer to the speaker. / Now answer. / Answer, please. / Respond to the person. / Help the
            person. / Answer the voice.
        """,
        held_out="Answer the speaker's question. / Please answer the spoken question.",
        tags="<|startofanalysis|><|en|><|question|>spoken<|answer|>",
    ),
}
"""Wordings by task."""
