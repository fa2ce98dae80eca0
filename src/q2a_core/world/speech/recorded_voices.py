"""More speech engines for training, where they are installed: flite and RHVoice in English, Pico in German too.

Their voices are built from recordings of real speakers and sound unlike espeak-ng's. Each is run once for an
utterance, and says the same text the same way every time. Without the programs nothing here is used.
"""

import functools
import subprocess
import tempfile
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np

from q2a_core.errors import SpeechError
from q2a_core.world.speech.recorded_engines import RECORDED, Request
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
    """These programs speak with another voice where the one asked for is not installed, and say nothing of it."""
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
        asked = Request(text, voice, stretch, percent, Path(folder, "said.wav"))
        typed = how.typed(asked).encode() if how.typed else None
        try:
            subprocess.run(
                how.command(asked), input=typed, capture_output=True, timeout=TIMEOUT, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise SpeechError(
                f"{engine} cannot say {text!r}: {error}. Install it ({how.install}), "
                f"or leave {engine} out of the engines"
            ) from error
        try:
            with wave.open(str(asked.output)) as file:
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
                rate = file.getframerate()
        except (OSError, wave.Error, EOFError) as error:
            raise SpeechError(f"{engine} gave no sound for {text!r}: {error}") from error
    if samples.size == 0:
        raise SpeechError(f"{engine} says nothing for {text!r}")
    return samples, rate
