"""More speech engines for training, where they are installed: flite and RHVoice in English, Pico in German too.

Their voices are built from recordings of real speakers and sound unlike espeak-ng's. Each is run once for an
utterance, and says the same text the same way every time. Without the programs nothing here is used.

All are free for any use: flite's come with it, RHVoice's clb and bdl are speakers of CMU ARCTIC
(festvox.org/cmu_arctic), and Pico, Android's first engine, is Apache-2.0 with its voices. RHVoice's other voices are
not all free, which is why Debian has the package outside its main part.
"""

import functools
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from q2a_core.errors import SpeechError
from q2a_core.world.speech.utterances import Engine, Language, Trait, Utterance

TIMEOUT = 30.0
PITCH = (-30, 35)
STRETCH = (0.8, 1.35)
BASE_RATE = 160
CHILD_SHARE = 0.3
# hertz, as heard: below, between, above them a voice is plainly a man's, a woman's, a child's
CLEAR: dict[Trait, tuple[float, float]] = {
    **{"man": (0.0, 145.0), "woman": (172.0, 245.0), "child": (285.0, np.inf)},
}


@dataclass(frozen=True, slots=True)
class RecordedVoice:
    """A speaker of such an engine."""

    mean: float
    """Mean pitch in hertz as it comes out."""
    trait: Trait
    weight: float
    """How often this one speaks, beside the others."""
    moves: bool = True
    """Whether it follows a pitch target."""
    language: Language = "en"


@dataclass(frozen=True, slots=True)
class RecordedEngine:
    """A program that speaks a text, and how it is asked to."""

    program: str
    install: str
    """What to do to have it."""
    share: float
    """Part of the training utterances in its languages that it speaks, of those that none before it does."""
    voices: dict[str, RecordedVoice]
    command: Callable[["Said"], list[str]]
    typed: Callable[["Said"], str] | None = None
    """What it reads from the standard input, where the command does not hold the text."""

    def voices_of(self, language: Language) -> dict[str, RecordedVoice]:
        """Its voices that speak a language."""
        return {name: voice for name, voice in self.voices.items() if voice.language == language}


@dataclass(frozen=True, slots=True)
class Said:
    """What an engine is asked to say."""

    text: str
    voice: str
    stretch: float
    """How many times as long it takes."""
    percent: float
    """Pitch in percent of the voice's mean."""
    output: Path
    """WAV file that it writes."""


def _flite(said: Said) -> list[str]:
    target = FLITE_VOICES[said.voice].mean * said.percent / 100
    command = ["flite", "-voice", said.voice, "-t", said.text, "-o", str(said.output)]
    command += ["--setf", f"duration_stretch={said.stretch:.3f}"]
    return [*command, "--setf", f"int_f0_target_mean={target:.1f}"]


def _rhvoice(said: Said) -> list[str]:
    command = ["RHVoice-test", "-p", said.voice, "-r", f"{100 / said.stretch:.0f}"]
    return [*command, "-t", f"{said.percent:.0f}", "-o", str(said.output)]


def _pico(said: Said) -> list[str]:
    return ["pico2wave", "--lang", said.voice, "--wave", str(said.output)]


def _pico_typed(said: Said) -> str:
    speed, pitch = f"{100 / said.stretch:.0f}", f"{said.percent:.0f}"
    return f"<speed level='{speed}'><pitch level='{pitch}'>{escape(said.text)}</pitch></speed>"


PICO_FROM = "build github.com/naggety/picotts"
RHVOICE_FROM = "build github.com/RHVoice/RHVoice with its English data and voices"
FLITE_VOICES = {
    "slt": RecordedVoice(172.0, "woman", 0.4),
    "rms": RecordedVoice(102.0, "man", 0.2, moves=False),
    "awb": RecordedVoice(125.0, "man", 0.2, moves=False),
    "kal16": RecordedVoice(105.0, "man", 0.2),
}
RHVOICE_VOICES = {
    "clb": RecordedVoice(182.0, "woman", 0.5),
    "bdl": RecordedVoice(118.0, "man", 0.5),
}
PICO_VOICES = {
    "en-US": RecordedVoice(165.0, "woman", 0.5),
    "en-GB": RecordedVoice(173.0, "woman", 0.5),
    "de-DE": RecordedVoice(167.0, "woman", 1.0, language="de"),
}
RECORDED: dict[Engine, RecordedEngine] = {
    "flite": RecordedEngine("flite", "apt-get install flite", 0.25, FLITE_VOICES, _flite),
    "rhvoice": RecordedEngine(
        "RHVoice-test", RHVOICE_FROM, 0.2, RHVOICE_VOICES, _rhvoice, lambda said: said.text
    ),
    "pico": RecordedEngine("pico2wave", PICO_FROM, 0.25, PICO_VOICES, _pico, _pico_typed),
}


def installed(engine: Engine) -> bool:
    """Whether the engine's program can be run."""
    return shutil.which(RECORDED[engine].program) is not None


def as_recorded(item: Utterance, engine: Engine, rng: np.random.Generator) -> Utterance:
    """The same said by a voice of `engine`, neutral; a part of a high woman's voice is made a child's."""
    voices = RECORDED[engine].voices_of(item.language)
    weights = [voice.weight for voice in voices.values()]
    name = tuple(voices)[int(rng.choice(len(voices), p=weights))]
    voice = voices[name]
    trait = voice.trait
    size = float(rng.uniform(0.93, 1.08))
    percent = float(rng.uniform(*PITCH))
    if trait == "woman" and rng.random() < CHILD_SHARE:
        size, percent = float(rng.uniform(1.28, 1.42)), float(rng.uniform(10, PITCH[1]))
        trait = "child"
    f0 = voice.mean * size * (1 + percent / 100 if voice.moves else 1)
    low, high = CLEAR[trait]
    stretch = float(rng.uniform(*STRETCH)) * size
    return replace(
        item,
        voice=name,
        engine=engine,
        rate=round(BASE_RATE / stretch),
        pitch=round(50 + percent),
        pitch_range=50,
        size=round(size, 3),
        ending="",
        emotion="neutral",
        strength=0.0,
        trait=trait if low < f0 < high else "",
    )


def speak_recorded(
    text: str, *, engine: Engine, voice: str, rate: int, pitch: int
) -> tuple[np.ndarray, int]:
    """Samples (S,) int16 and their sample rate; `pitch` is 50 plus percent of the voice's mean.

    Raises SpeechError when the program or its voices are missing, and when it fails or says nothing.
    """
    voices = RECORDED[engine].voices
    if voice not in voices:
        raise SpeechError(f"{engine} has no voice {voice!r}; it has {', '.join(voices)}")
    _check_voices(engine)
    return _said(text, engine, voice, BASE_RATE / rate, 50 + pitch)


@functools.cache
def _check_voices(engine: Engine) -> None:
    """These programs speak with another voice where the one asked for is not installed, and says nothing of it."""
    names = tuple(RECORDED[engine].voices)
    heard = {_said("yes", engine, name, 1.0, 100)[0].tobytes() for name in names}
    if len(heard) < len(names):
        raise SpeechError(
            f"{engine} lacks some of the voices {', '.join(names)}: two of them sound the same. "
            f"Install them ({RECORDED[engine].install}), or leave {engine} out of the engines"
        )


def _said(
    text: str, engine: Engine, voice: str, stretch: float, percent: float
) -> tuple[np.ndarray, int]:
    how = RECORDED[engine]
    with tempfile.TemporaryDirectory() as folder:
        said = Said(text, voice, stretch, percent, Path(folder, "said.wav"))
        typed = how.typed(said).encode() if how.typed else None
        try:
            subprocess.run(
                how.command(said), input=typed, capture_output=True, timeout=TIMEOUT, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise SpeechError(
                f"{engine} cannot say {text!r}: {error}. Install it ({how.install}), "
                f"or leave {engine} out of the engines"
            ) from error
        try:
            with wave.open(str(said.output)) as file:
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
                rate = file.getframerate()
        except (OSError, wave.Error, EOFError) as error:
            raise SpeechError(f"{engine} gave no sound for {text!r}: {error}") from error
    if samples.size == 0:
        raise SpeechError(f"{engine} says nothing for {text!r}")
    return samples, rate
