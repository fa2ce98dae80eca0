"""Natural-language prompts against tags: what each understands of wordings and combinations that it never saw.

The paper replaced Qwen-Audio's hierarchical tags by natural language (section 2) and prints no ablation. These suites
measure one: the same scenes and true answers, asked as the checkpoint was trained, in paraphrases that no training has,
and with tasks that training never asked of such a scene.
"""

from collections.abc import Callable

import numpy as np

from q2a_core.checkpoint import Checkpoint
from q2a_core.evaluation.metrics import accuracy
from q2a_core.evaluation.mini_scores import rights
from q2a_core.evaluation.mini_suite import Answered, MiniSuite
from q2a_core.world.prompts import prompt_for
from q2a_core.world.scene import Scene, SceneKind
from q2a_core.world.scene_shares import STAGE_SHARES
from q2a_core.world.speech.voices import Split
from q2a_core.world.task import Task
from q2a_core.world.tasks import ask, asked_tasks, unasked_tasks
from q2a_core.world.wordings import PROMPTS

KINDS: tuple[SceneKind, ...] = tuple(
    kind for kind in STAGE_SHARES["pretrain"] if kind not in ("silence", "noise")
)


def trained_on_tags(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint's own account says that its prompts were tags."""
    config = checkpoint.about.get("config")
    return isinstance(config, dict) and config.get("prompts") == "tags"


def asked_in(*, tags: bool) -> str:
    """How the three suites ask, for a report's conditions."""
    own = "tags" if tags else "wordings"
    return f"{own} that training has; for unseen paraphrases wordings that it never saw"


def prompt_suites(*, tags: bool) -> tuple[MiniSuite, ...]:
    """The three suites for a checkpoint that was trained on tags, or on natural language."""

    def suite(name: str, seed: int, choose: Callable, *, split: Split, own: bool) -> MiniSuite:
        def pose(scene: Scene, rng: np.random.Generator) -> Task:
            def wording(task: str, what: str) -> str:
                return _wording(task, rng, split=split, what=what, tags=tags and own)

            return ask(scene, choose(scene, rng), rng, wording)

        return MiniSuite(
            name=name,
            metric="accuracy",
            seed=seed,
            kinds=KINDS,
            pose=pose,
            score=_right,
            fits=lambda scene: choose is _asked or bool(unasked_tasks(scene)),
        )

    return (
        suite("seen prompts", 231, _asked, split="train", own=True),
        suite("unseen paraphrases", 231, _asked, split="test", own=False),
        suite("unseen combinations", 233, _unasked, split="train", own=True),
    )


def _asked(scene: Scene, rng: np.random.Generator) -> str:
    shares = asked_tasks(scene)
    weights = np.array(list(shares.values()))
    return list(shares)[int(rng.choice(len(shares), p=weights / weights.sum()))]


def _unasked(scene: Scene, rng: np.random.Generator) -> str:
    names = unasked_tasks(scene)
    return names[int(rng.integers(len(names)))]


def _wording(task: str, rng: np.random.Generator, *, split: Split, what: str, tags: bool) -> str:
    """A wording of the split; of the test split never the official one, which training has too."""
    if split == "train":
        return prompt_for(task, rng, split="train", what=what, tags=tags)
    held_out = PROMPTS[task].held_out
    return held_out[int(rng.integers(len(held_out)))].replace("{}", what)


def _right(answered: Answered):
    return accuracy(rights(answered))
