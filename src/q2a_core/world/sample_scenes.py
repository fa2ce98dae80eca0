"""The clips that ship, as they are planned: by hand, one for everything that the grown world holds."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from q2a_core.world.scene import SceneKind
from q2a_core.world.speech import Utterance
from q2a_core.world.speech.prosody import settings
from q2a_core.world.speech.utterances import Emotion, Language


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
