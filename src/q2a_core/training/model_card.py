"""What a checkpoint says of itself: about.json, which faces read, and the README of its directory."""

import re
import textwrap
from dataclasses import asdict
from typing import Any

from q2a_core.training.command import command_of, unsaid
from q2a_core.training.stages import StageConfig
from q2a_core.world.answers import NOUNS
from q2a_core.world.render import MAX_SECONDS
from q2a_core.world.sounds import SOUND_CLASSES
from q2a_core.world.sounds.music import TUNE_INSTRUMENTS
from q2a_core.world.speech.lexicon import GERMAN, MANDARIN, english_words, first_world_words

FIRST_WORLD_TRY = [
    "Play a sound, then ask aloud: what is this sound?",
    "Say: seven red cups",
    "Say: please open the green door",
    "Play a sound and type: How many times?",
    "Type: What does the person say?",
]
GROWN_WORLD_TRY = [
    "Say: wednesday, and type: What does the person say?",
    "Say: please close the green door, and type: Translate the speech into German.",
    "Say in German: der Hund ist groß, and type: Say it in English.",
    "Type: How does the speaker feel?",
    "Play a sound and type: What is this sound?",
    "Play music and type: Which instrument plays?",
    "Play two sounds and type: Which sound comes first?",
]
"""Typed questions: all that pre-training teaches."""
VOICE_CHAT_TRY = [
    "Play a sound, then ask aloud: what is this sound?",
    "Say, without typing: the dog sees a red cup",
]
"""What fine-tuning adds."""
TRAINED_CLIPS = 1
"""Clips in one dialogue of the world at most: later turns go on about the first one's."""
ENGINE_NAMES = {"espeak": "eSpeak NG", "flite": "flite", "rhvoice": "RHVoice", "pico": "Pico"}
ANSWERS = {
    "start": "no questions yet: its encoder can spell and its decoder can speak, but they were never connected",
    "pretrain": "typed questions about a clip, one at a time",
    "sft": "voice chat (a clip alone) and audio analysis (a clip with a typed question), over several turns",
    "dpo": "voice chat (a clip alone) and audio analysis (a clip with a typed question), over several turns",
}
"""What each stage teaches a grown model to take."""


def trained_on(stage: StageConfig, *, before: str = "") -> str:
    """What a checkpoint has heard; `before` is the same of the one that it went on from, whose voices it heard too."""
    voices = [
        name
        for engine, name in ENGINE_NAMES.items()
        if engine in stage.engines or re.search(rf"\b{name}\b", before)
    ]
    listed = " and ".join([", ".join(voices[:-1]), voices[-1]] if voices[1:] else voices)
    return f"synthetic voices ({listed}) and procedural sounds"


def about_run(
    stage: StageConfig, *, step: int, pairs: dict[str, int] | None = None
) -> dict[str, Any]:
    """What a checkpoint of this stage has seen and can hear after `step` steps; `pairs` are DPO's by kind."""
    grown = stage.level == "grown"
    words = list(english_words() if grown else first_world_words())
    about: dict[str, Any] = {
        "stage": stage.name,
        "step": step,
        "clips": step * stage.step_size,
        "trained_on": trained_on(stage),
        "trained_seconds": MAX_SECONDS,
        "trained_clips": TRAINED_CLIPS,
        "words": words,
        "sounds": list(NOUNS.values()) if grown else [sound.noun for sound in SOUND_CLASSES],
        "try": _lines_to_try(stage),
        "config": asdict(stage),
    }
    if grown:
        about["languages"] = {
            "English": len(words),
            "German": sum(map(len, GERMAN.values())),
            "Mandarin": sum(map(len, MANDARIN.values())),
        }
        about["instruments"] = list(TUNE_INSTRUMENTS)
    if pairs is not None:
        about["pairs"] = pairs
    return about


def _lines_to_try(stage: StageConfig) -> list[str]:
    if stage.level == "first":
        return FIRST_WORLD_TRY
    return [*(VOICE_CHAT_TRY if stage.name in ("sft", "dpo") else ()), *GROWN_WORLD_TRY]


def _made_by(about: dict[str, Any]) -> str:
    """The command behind a checkpoint, and where the run differed from what the command does."""
    config = about["config"]
    command = command_of(config, about.get("pairs"), precision=about.get("precision"))
    made = f"Made by `{command}`"
    apart = unsaid(config)
    if apart:
        made += f", with settings that no option has ({', '.join(apart)})"
    if about["step"] < config["steps"]:
        made += f", stopped after {about['step']:,} of {config['steps']:,} steps"
    return f"{made}, then `q2a train export RUN DIRECTORY`." + _averaged(about)


def _averaged(about: dict[str, Any]) -> str:
    """Whose mean the weights are; "" where they are one run's."""
    if "averaged" not in about:
        return ""
    first, *others = about["averaged"]
    gave = f"gave {first['hash']}"
    if "averaged" in first:
        gave = f"gave the first of the runs whose mean is {first['hash']} ({_hashes(first)})"
    return (
        f" That {gave}; the weights here are the mean of it and of {'; '.join(map(_told, others))} "
        "(`q2a train average`)."
    )


def _told(member: dict[str, Any]) -> str:
    """One of the averaged checkpoints, and where it came from."""
    named = f"{member['name']} {member['hash']}"
    if "averaged" in member:
        return f"{named}, itself the mean of {_hashes(member)}"
    return f"{named}, made by `{member['command']}`" if member["command"] else named


def _hashes(member: dict[str, Any]) -> str:
    return ", ".join(one["hash"] for one in member["averaged"])


def model_card(about: dict[str, Any]) -> str:
    """README.md of a checkpoint: what it is, how it was made, what it cannot do."""
    start = about.get("start")
    begun = ""
    if start is not None:
        begun = f"Went on from {start['name']} {start['hash']} ({start['clips']:,} clips). "
    heard = f"{len(about['sounds'])} kinds of sounds and {len(about['words'])} words"
    takes = "voice chat (a clip alone) and audio analysis (a clip with a text question)"
    if "languages" in about:
        languages = ", ".join(f"{name} ({words})" for name, words in about["languages"].items())
        heard = (
            f"{len(about['sounds'])} kinds of sounds, {len(about['instruments'])} instruments and the words of "
            f"{languages}"
        )
        takes = ANSWERS[about["stage"]]
    paragraphs = (
        "The architecture of Qwen2-Audio (arXiv 2407.10759) at under 3 million parameters, trained from scratch by "
        f"q2a on {about['trained_on']}: {about['clips']:,} clips of up to {about['trained_seconds']:g} s. "
        "Stored in fp16, computed in fp32. License Apache-2.0.",
        begun + _made_by(about),
        f"It knows {heard} (about.json lists them) and takes {takes}. Other words and sounds, much noise and longer "
        "clips are beyond it, and it answers them all the same. It is for teaching, and it is not Qwen2-Audio.",
    )
    filled = [textwrap.fill(text, 118, break_on_hyphens=False) for text in paragraphs]
    return "\n\n".join(["# A mini Qwen2-Audio", *filled]) + "\n"
