"""The programs that may speak a part of the training besides espeak-ng: how each is asked, and which voices it has.

All are free for any use: flite's come with it, RHVoice's clb and bdl are speakers of CMU ARCTIC
(festvox.org/cmu_arctic), and Pico, Android's first engine, is Apache-2.0 with its voices. RHVoice's other voices are
not all free, which is why Debian has the package outside its main part.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from q2a_core.world.speech.utterances import Engine, Language, Trait


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
    command: Callable[["Request"], list[str]]
    typed: Callable[["Request"], str] | None = None
    """What it reads from the standard input, where the command does not hold the text."""

    def voices_of(self, language: Language) -> dict[str, RecordedVoice]:
        """Its voices that speak a language."""
        return {name: voice for name, voice in self.voices.items() if voice.language == language}


@dataclass(frozen=True, slots=True)
class Request:
    """What an engine is asked to say."""

    text: str
    voice: str
    stretch: float
    """How many times as long it takes."""
    percent: float
    """Pitch in percent of the voice's mean."""
    output: Path
    """WAV file that it writes."""


def _flite(asked: Request) -> list[str]:
    target = FLITE_VOICES[asked.voice].mean * asked.percent / 100
    command = ["flite", "-voice", asked.voice, "-t", asked.text, "-o", str(asked.output)]
    command += ["--setf", f"duration_stretch={asked.stretch:.3f}"]
    return [*command, "--setf", f"int_f0_target_mean={target:.1f}"]


def _rhvoice(asked: Request) -> list[str]:
    command = ["RHVoice-test", "-p", asked.voice, "-r", f"{100 / asked.stretch:.0f}"]
    return [*command, "-t", f"{asked.percent:.0f}", "-o", str(asked.output)]


def _pico(asked: Request) -> list[str]:
    return ["pico2wave", "--lang", asked.voice, "--wave", str(asked.output)]


def _pico_typed(asked: Request) -> str:
    speed, pitch = f"{100 / asked.stretch:.0f}", f"{asked.percent:.0f}"
    return f"<speed level='{speed}'><pitch level='{pitch}'>{escape(asked.text)}</pitch></speed>"


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
        "RHVoice-test", RHVOICE_FROM, 0.2, RHVOICE_VOICES, _rhvoice, lambda asked: asked.text
    ),
    "pico": RecordedEngine("pico2wave", PICO_FROM, 0.25, PICO_VOICES, _pico, _pico_typed),
}


def installed(engine: Engine) -> bool:
    """Whether the engine's program can be run."""
    return shutil.which(RECORDED[engine].program) is not None
