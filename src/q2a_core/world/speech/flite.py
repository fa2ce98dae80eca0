"""A second speech engine for training, where it is installed: Debian's flite, English only.

Its four voices sound unlike espeak-ng's. It is run once for each utterance, text in and WAV out, and
says the same text the same way every time. Without the program nothing here is used.
"""

import io
import shutil
import subprocess
import wave
from dataclasses import replace

import numpy as np

from q2a_core.errors import SpeechError
from q2a_core.world.speech.utterances import Trait, Utterance

FLITE_SHARE = 0.25
TIMEOUT = 30.0
# mean pitch in hertz as it comes out, and who is heard; only slt and kal16 follow a pitch target
VOICES: dict[str, tuple[float, Trait]] = {
    "slt": (172.0, "woman"),
    "rms": (102.0, "man"),
    "awb": (125.0, "man"),
    "kal16": (105.0, "man"),
}
PITCH = (-30, 35)
STRETCH = (0.8, 1.35)
BASE_RATE = 160
CHILD_SHARE = 0.3


def installed() -> bool:
    """Whether the flite program can be run."""
    return shutil.which("flite") is not None


def as_flite(item: Utterance, rng: np.random.Generator) -> Utterance:
    """The same said by a voice of flite, neutral; a part of the woman's voice is made a child's."""
    name = tuple(VOICES)[int(rng.choice(4, p=(0.4, 0.2, 0.2, 0.2)))]
    mean, trait = VOICES[name]
    size = float(rng.uniform(0.93, 1.08))
    percent = float(rng.uniform(*PITCH))
    if name == "slt" and rng.random() < CHILD_SHARE:
        size, percent = float(rng.uniform(1.28, 1.42)), float(rng.uniform(10, PITCH[1]))
        trait = "child"
    f0 = mean * size * (1 + percent / 100 if name in ("slt", "kal16") else 1)
    clear = {"man": f0 < 145, "woman": 172 < f0 < 245, "child": f0 > 285}
    stretch = float(rng.uniform(*STRETCH)) * size
    return replace(
        item,
        voice=name,
        engine="flite",
        rate=round(BASE_RATE / stretch),
        pitch=round(50 + percent),
        pitch_range=50,
        size=round(size, 3),
        ending="",
        emotion="neutral",
        strength=0.0,
        trait=trait if clear[trait] else "",
    )


def speak(text: str, *, voice: str, rate: int, pitch: int) -> tuple[np.ndarray, int]:
    """Samples (S,) int16 and their sample rate; `pitch` is 50 plus percent of the voice's mean.

    Raises SpeechError when the program is missing, fails or says nothing.
    """
    if voice not in VOICES:
        raise SpeechError(f"flite has no voice {voice!r}; it has {', '.join(VOICES)}")
    target = VOICES[voice][0] * (1 + (pitch - 50) / 100)
    command = ["flite", "-voice", voice, "-t", text, "-o", "/dev/stdout"]
    command += ["--setf", f"duration_stretch={BASE_RATE / rate:.3f}"]
    command += ["--setf", f"int_f0_target_mean={target:.1f}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise SpeechError(
            f"flite cannot say {text!r}: {error}. Install it with: apt-get install flite, "
            "or leave flite out of the engines"
        ) from error
    try:
        with wave.open(io.BytesIO(done.stdout)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            return samples, file.getframerate()
    except (wave.Error, EOFError) as error:
        raise SpeechError(f"flite gave no sound for {text!r}: {error}") from error
