"""The options of `q2a train`'s stages, each said once: a stage takes those of its class and of the classes above it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer


def _folder(text: str) -> Path:
    """A folder's path; an empty one, as of a variable that is not set, would be the working directory."""
    if not text:
        raise typer.BadParameter(
            "the path is empty; expected a folder, or no --run for one among your runs"
        )
    return Path(text)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What every stage can be told."""

    run: Annotated[
        Path | None,
        typer.Option(
            parser=_folder,
            metavar="<path>",
            help="Folder of the run; by default one among your runs.",
        ),
    ] = None
    budget: Annotated[
        Literal["class", "full"],
        typer.Option(help="class: a little over a minute of training, for a lesson."),
    ] = "full"
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimizer steps; the stage's own number by default.")
    ] = None
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Dialogues in a micro-batch; 4 by default.")
    ] = None
    accumulate: Annotated[
        int | None,
        typer.Option(
            min=1, help="Micro-batches in a step; 4 by default, at class budget 2 (dpo: 4)."
        ),
    ] = None
    learning_rate: Annotated[
        float | None, typer.Option(min=0.0, help="Peak learning rate; the stage's own by default.")
    ] = None
    part_rate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<part=factor>",
            help="A part's rate as a factor of the learning rate, 0 freezes it; may be given for each part. "
            "Example: audio_encoder=0.25",
        ),
    ] = None
    optimizer: Annotated[
        Literal["adamw", "muon"] | None,
        typer.Option(help="What updates the matrices; the stage's own by default."),
    ] = None
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Decides scenes, wording and order.")
    ] = 0
    start: Annotated[
        str | None, typer.Option(help="Checkpoint to go on from; fresh: weights drawn anew.")
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = (
        False
    )
    workers: Annotated[int, typer.Option(min=0, help="Processes that make batches.")] = 1
    precision: Annotated[
        Literal["no", "bf16"],
        typer.Option(help="bf16: a third quicker where the processor computes it."),
    ] = "no"

    def changes(self) -> dict[str, Any]:
        """What was asked of the stage's configuration, by its names; None leaves a value as the stage has it."""
        names = ("steps", "batch_size", "accumulate", "learning_rate", "optimizer", "seed", "start")
        return {name: getattr(self, name) for name in names} | {"part_rates": self.part_rate}


@dataclass(frozen=True, kw_only=True)
class SpokenOptions(TrainOptions):
    """Of a stage that trains on synthesised speech."""

    utterances: Annotated[
        int | None,
        typer.Option(min=100, max=60_000, help="Spoken phrases to synthesise once, 2 GB at most."),
    ] = None
    flite: Annotated[
        bool, typer.Option("--flite", help="Let flite, if installed, speak some of the English.")
    ] = False
    rhvoice: Annotated[
        bool,
        typer.Option("--rhvoice", help="Let RHVoice, if installed, speak some of the English."),
    ] = False
    pico: Annotated[
        bool,
        typer.Option(
            "--pico", help="Let Pico, if installed, speak some of the English and German."
        ),
    ] = False

    def changes(self) -> dict[str, Any]:
        """As above, with the speech engines: the stage's own where none is added."""
        added = [name for name in ("flite", "rhvoice", "pico") if getattr(self, name)]
        engines = ("espeak", *added) if added else None
        return super().changes() | {"utterances": self.utterances, "engines": engines}


@dataclass(frozen=True, kw_only=True)
class SftOptions(SpokenOptions):
    """Of a stage whose world grows."""

    ramp: Annotated[
        int | None, typer.Option(min=1, help="Clips until the grown world is at its hardest.")
    ] = None

    def changes(self) -> dict[str, Any]:
        """As above, with the ramp."""
        return super().changes() | {"ramp": self.ramp}


@dataclass(frozen=True, kw_only=True)
class PretrainOptions(SftOptions):
    """Of the stage that chooses its world and how the tasks are worded."""

    level: Annotated[
        Literal["first", "grown"], typer.Option(help="World that the clips come from.")
    ] = "grown"
    prompts: Annotated[
        Literal["natural", "tags"], typer.Option(help="How the tasks are worded.")
    ] = "natural"

    def changes(self) -> dict[str, Any]:
        """As above, with world and wording."""
        return super().changes() | {"level": self.level, "prompts": self.prompts}


@dataclass(frozen=True, kw_only=True)
class DPOOptions(TrainOptions):
    """Of the stage that learns from pairs."""

    pairs: Annotated[
        Path | None, typer.Option(help="JSONL of your own pairs: clip, prompt, chosen, rejected.")
    ] = None
    sampled: Annotated[
        int | None,
        typer.Option(
            min=0, help="Pairs about the model's own replies, ranked by the judge; by the budget."
        ),
    ] = None
    absent: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Pairs about things that are not in the clip; by the budget, none without sampled ones.",
        ),
    ] = None
    beta: Annotated[
        float | None, typer.Option(min=0.0, help="How strongly the reference holds.")
    ] = None
    nll_weight: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Weight of the chosen replies' own loss, which keeps them likely."
        ),
    ] = None

    def changes(self) -> dict[str, Any]:
        """As above, with the loss's weights; the pairs are no part of the configuration."""
        return super().changes() | {"beta": self.beta, "nll_weight": self.nll_weight}


def taking_options(command: Callable[[Any], None]) -> Callable[..., None]:
    """`command(options: SomeOptions)` as Typer reads a command: every field is a parameter of its own."""
    (parameter,) = inspect.signature(command).parameters
    kind = get_type_hints(command)[parameter]
    hints = get_type_hints(kind, include_extras=True)

    @wraps(command)
    def spread(**given: Any) -> None:
        command(kind(**given))

    spread.__annotations__ = {field.name: hints[field.name] for field in fields(kind)}
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]
    spread.__dict__["__signature__"] = inspect.Signature(parameters)
    return spread
