"""The command that repeats a run, from what the checkpoint says of itself: every option that its stage has.

What no option sets comes with a budget; what no budget has either was set in Python, and `unsaid` names it.
"""

import shlex
from typing import Any, Literal

from q2a_core.training import stages
from q2a_core.training.stages import (
    CLASS_BUDGET,
    FRESH_START,
    StageConfig,
    part_rates,
    with_part_rates,
)

Budget = Literal["full", "class"]
OPTIONS = ("steps", "batch_size", "accumulate", "learning_rate", "optimizer", "seed")
"""Settings that have an option in every stage."""
OPTIONS_OF = {
    "start": ("utterances",),
    "pretrain": ("utterances", "level", "prompts", "ramp"),
    "sft": ("utterances", "ramp"),
    "dpo": ("beta", "nll_weight"),
}
"""Settings that have one in some."""
RECORDED_ENGINES = ("flite", "rhvoice", "pico")
"""Engines that an option of their name adds, in every stage but DPO."""


def command_of(
    config: dict[str, Any], pairs: dict[str, int] | None = None, *, precision: str | None = None
) -> str:
    """The command that repeats a run; RUN and PAIRS stand for what the reader chooses.

    `pairs` are DPO's, by kind: own, absent, sampled, and asked, the number of sampled ones that were sought.
    `precision` is named where it is not the usual one.
    """
    stage = StageConfig.from_dict(config)
    budget = _budget(stage)
    parts = ["q2a", "train", stage.name, "--run", "RUN"]
    parts += ["--budget", budget] if budget != "full" else []
    if stage.start is not None:
        parts += ["--start", shlex.quote(stage.start)]
    elif _made(stage, budget, start=False).start is not None:
        parts += ["--start", FRESH_START]
    for name in (*OPTIONS, *OPTIONS_OF[stage.name]):
        parts += [f"--{name.replace('_', '-')}", str(getattr(stage, name))]
    for rate in _part_rates(stage, budget):
        parts += ["--part-rate", rate]
    parts += [f"--{engine}" for engine in _said_engines(stage)]
    parts += ["--precision", precision] if precision else []
    if pairs is not None:
        parts += ["--pairs", "PAIRS"] if pairs["own"] else []
        parts += ["--sampled", str(pairs["asked"]), "--absent", str(pairs["absent"])]
    return " ".join(parts)


def unsaid(config: dict[str, Any]) -> list[str]:
    """Settings, with their values, that no option of the command sets."""
    stage = StageConfig.from_dict(config)
    return _differing(stage, _made(stage, _budget(stage)))


def _budget(stage: StageConfig) -> Budget:
    """Under which budget the command comes closest to the run."""
    apart = {budget: len(_differing(stage, _made(stage, budget))) for budget in ("full", "class")}
    return "class" if apart["class"] < apart["full"] else "full"


def _made(stage: StageConfig, budget: Budget, *, start: bool = True) -> StageConfig:
    """What the command makes of a run's options; without `start` from the stage's own start."""
    said = {name: getattr(stage, name) for name in (*OPTIONS, *OPTIONS_OF[stage.name])}
    if start:
        said["start"] = stage.start
    if added := _said_engines(stage):
        said["engines"] = ("espeak", *added)
    return with_part_rates(_by_itself(stage, budget, **said), _part_rates(stage, budget))


def _by_itself(stage: StageConfig, budget: Budget, **said: Any) -> StageConfig:
    """The stage as its budget has it, with what is said of it."""
    given = CLASS_BUDGET[stage.name] if budget == "class" else {}
    return getattr(stages, stage.name)(**given | said)


def _said_engines(stage: StageConfig) -> list[str]:
    """The engines that options of the command add."""
    added = [engine for engine in RECORDED_ENGINES if engine in stage.engines]
    return added if stage.name != "dpo" and stage.engines == ("espeak", *added) else []


def _part_rates(stage: StageConfig, budget: Budget) -> list[str]:
    """What `--part-rate` must say, for the parts whose rates are not the stage's own."""
    mine, theirs = part_rates(stage), part_rates(_by_itself(stage, budget))
    return [f"{part}={factor}" for part, factor in mine.items() if factor != theirs[part]]


def _differing(stage: StageConfig, other: StageConfig) -> list[str]:
    mine, theirs = stage.to_dict(), other.to_dict()
    return [f"{name} {mine[name]}" for name in mine if mine[name] != theirs[name]]
