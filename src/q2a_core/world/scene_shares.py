"""What the grown world is made of: how often each kind of scene, noise, room and voice is drawn, and how hard.

Training leans towards what is hard to hear; the suites of an evaluation stay as they are when training draws otherwise.
"""

from typing import Literal

from q2a_core.world.scene import BACKGROUNDS, SceneKind
from q2a_core.world.speech.voices import Split

Stage = Literal["pretrain", "sft"]

STAGE_SHARES: dict[Stage, dict[SceneKind, float]] = {
    "pretrain": {
        "speech": 0.5,
        "sound": 0.12,
        "vocal": 0.06,
        "music": 0.06,
        "sounds": 0.06,
        "mixed": 0.17,
        "silence": 0.015,
        "noise": 0.015,
    },
    "sft": {
        "speech": 0.45,
        "sound": 0.12,
        "vocal": 0.03,
        "music": 0.05,
        "sounds": 0.04,
        "mixed": 0.14,
        "question": 0.135,
        "lone_question": 0.015,
        "silence": 0.01,
        "noise": 0.01,
    },
}
"""How often a stage draws each kind of scene."""
SUITE_SHARES: dict[SceneKind, float] = {
    "speech": 0.4,
    "sound": 0.09,
    "vocal": 0.05,
    "music": 0.06,
    "sounds": 0.07,
    "mixed": 0.1,
    "question": 0.18,
    "lone_question": 0.02,
    "silence": 0.015,
    "noise": 0.015,
}
"""The same for the suites of an evaluation: they stay as they are when training draws otherwise."""
EASIEST = 0.3
"""Hardness of the first training scene; 1 is the full spread, and test scenes have TEST_HARDNESS."""
TEST_HARDNESS = 0.4
RAMP = 60_000
"""Training scenes until the full spread."""
CLEAN_SHARE = 0.25
"""Training clips without any room or microphone."""
RECORDED_SHARE = 0.4
"""Training phrases that are drawn from recorded voices' alone: those of flite, RHVoice and Pico."""
WORD_SHARE = 0.6
"""Those of them that are a single word, beside those drawn anyway: what people say first to a microphone."""
SHORT_SHARE, SHORT_WORDS = 0.25, (2, 3)
"""Other training phrases that are drawn from English ones of so many words: they are misheard most."""
DISTURBED_SHARE, DISTURBED_DB = 0.35, (-16.0, -2.0)
"""Training clips of speech into which something else sounds, and how loud it is beside the voice."""
NOISY_SHARES: dict[Split, float] = {"train": 0.6, "test": 0.5}
"""Clips with something in the background."""
BEST_SNR_DB = 45.0
CLEANEST_FLOOR_DB = 20.0
"""Worst signal-to-noise ratio of the easiest scenes; it falls with hardness."""
TEST_FLOOR_FALL_DB = 17.0
"""How far it would fall in a test scene of full hardness; in training it falls to 0 dB, and twice as soon."""
NOISE_LEAN = 2.3
"""Exponent above 1 that leans training towards the worse half of the signal-to-noise ratios."""
BACKGROUND_SHARES: dict[Split, tuple[float, ...]] = {
    "train": (0.12, 0.12, 0.12, 0.12, 0.52),
    "test": (0.2,) * len(BACKGROUNDS),
}
"""How often each of BACKGROUNDS is drawn; voices behind a voice are the hardest."""
OVERLAP_SHARE = 0.5
"""Mixtures whose second event starts while the first goes on."""
SOUND_SECONDS = (0.8, 2.4)
LONG_SHARE, LONG_SECONDS = 0.25, (2.4, 6.5)
"""Training clips of one sound alone in which it goes on for as long, or as often, as in collections of recordings."""
MUSIC_SECONDS = (1.8, 4.0)
