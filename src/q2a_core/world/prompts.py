"""How the grown world asks: in the official wording, a paraphrase, a held-out paraphrase, or in tags.

Held-out paraphrases never occur in training; asking with them tells understanding from recognition. Tags are the
hierarchical ones of Qwen-Audio, the predecessor whose way of asking the paper left behind.
"""

import re

import numpy as np

from q2a_core.world.speech.voices import Split
from q2a_core.world.wordings import PROMPTS

LANGUAGE_NAMES = {"en": "English", "de": "German", "zh": "Mandarin"}
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


def in_tags(question: str) -> str | None:
    """The tags that ask what a sentence asks, held-out wordings included; None if it is no wording of a task.

    Tags name the language of the speech, sentences need not: then it is English.
    """
    names = {name.casefold(): name for name in LANGUAGE_NAMES.values()}
    known = {"translate": "|".join(names), "transcribe": "|".join(LANGUAGE_NAMES)}
    wordings = [
        (wording, known.get(task, ".+"), prompts.tags)
        for task, prompts in PROMPTS.items()
        for wording in (prompts.official, *prompts.train, *prompts.held_out)
    ]
    for wording, what, tags in sorted(wordings, key=lambda each: ("{}" in each[0], -len(each[0]))):
        pattern = re.escape(_bare(wording)).replace(r"\{\}", f"({what})")
        if found := re.fullmatch(pattern, _bare(question), re.IGNORECASE):
            filling = found[1] if found.groups() else "en"
            return tags.replace("{}", names.get(filling.casefold(), filling))
    return None


def _bare(sentence: str) -> str:
    return sentence.strip().rstrip("?.! ")
