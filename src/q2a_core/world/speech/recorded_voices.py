"""Two more speech engines for training, where they are installed: flite and RHVoice, English only.

Their voices are built from recordings of real speakers and sound unlike espeak-ng's. Either is run once for each
utterance, and says the same text the same way every time. Without the programs nothing here is used.

All six are free for any use: flite's come with it, and RHVoice's clb and bdl are speakers of CMU ARCTIC
(festvox.org/cmu_arctic). Its other voices are not all free, which is why Debian has the package outside its main part.
"""

import functools
import io
import shutil
import subprocess
import wave
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from q2a_core.errors import SpeechError
from q2a_core.world.speech.utterances import Engine, Trait, Utterance

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


@dataclass(frozen=True, slots=True)
class RecordedEngine:
    """A program that speaks a text, and how it is asked to."""

    program: str
    install: str
    """What to do to have it."""
    share: float
    """Part of the English training utterances that it speaks, of those that none before it does."""
    voices: dict[str, RecordedVoice]
    command: Callable[[str, str, float, float], list[str]]
    """From the text, the voice, how many times as long it takes, and its pitch in percent of the voice's mean."""
    typed: bool = False
    """Whether the text is read from the standard input."""


def _flite(text: str, voice: str, stretch: float, percent: float) -> list[str]:
    target = FLITE_VOICES[voice].mean * percent / 100
    command = ["flite", "-voice", voice, "-t", text, "-o", "/dev/stdout"]
    command += ["--setf", f"duration_stretch={stretch:.3f}"]
    return [*command, "--setf", f"int_f0_target_mean={target:.1f}"]


def _rhvoice(text: str, voice: str, stretch: float, percent: float) -> list[str]:
    command = ["RHVoice-test", "-p", voice, "-r", f"{100 / stretch:.0f}"]
    return [*command, "-t", f"{percent:.0f}", "-o", "/dev/stdout"]


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
RECORDED: dict[Engine, RecordedEngine] = {
    "flite": RecordedEngine("flite", "apt-get install flite", 0.25, FLITE_VOICES, _flite),
    "rhvoice": RecordedEngine(
        "RHVoice-test", RHVOICE_FROM, 0.2, RHVOICE_VOICES, _rhvoice, typed=True
    ),
}


def installed(engine: Engine) -> bool:
    """Whether the engine's program can be run."""
    return shutil.which(RECORDED[engine].program) is not None


def as_recorded(item: Utterance, engine: Engine, rng: np.random.Generator) -> Utterance:
    """The same said by a voice of `engine`, neutral; a part of a high woman's voice is made a child's."""
    voices = RECORDED[engine].voices
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
    """Either program speaks with another voice where the one asked for is not installed, and says nothing of it."""
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
    command = how.command(text, voice, stretch, percent)
    typed = text.encode() if how.typed else None
    try:
        done = subprocess.run(
            command, input=typed, capture_output=True, timeout=TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SpeechError(
            f"{engine} cannot say {text!r}: {error}. Install it ({how.install}), "
            f"or leave {engine} out of the engines"
        ) from error
    try:
        with wave.open(io.BytesIO(done.stdout)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            rate = file.getframerate()
    except (wave.Error, EOFError) as error:
        raise SpeechError(f"{engine} gave no sound for {text!r}: {error}") from error
    if samples.size == 0:
        raise SpeechError(f"{engine} says nothing for {text!r}")
    return samples, rate
