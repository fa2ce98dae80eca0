"""Options that several stages of `q2a train` share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Run = Annotated[
    Path | None, typer.Option(help="Folder of the run; by default one among your runs.")
]
Steps = Annotated[
    int | None, typer.Option(min=1, help="Optimizer steps; the stage's own number by default.")
]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Dialogues in a micro-batch; 4 by default.")
]
Accumulate = Annotated[
    int | None,
    typer.Option(min=1, help="Micro-batches in a step; 4, or 2, by default."),
]
Rate = Annotated[
    float | None, typer.Option(min=0.0, help="Peak learning rate; the stage's own by default.")
]
PartRate = Annotated[
    list[str] | None,
    typer.Option(
        metavar="<part=factor>",
        help="A part's rate as a factor of the learning rate, 0 freezes it; may be given for each part. "
        "Example: audio_encoder=0.25",
    ),
]
Ramp = Annotated[
    int | None, typer.Option(min=1, help="Clips until the grown world is at its hardest.")
]
Utterances = Annotated[
    int | None,
    typer.Option(min=100, max=60_000, help="Spoken phrases to synthesise once, 2 GB at most."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Decides scenes, wording and order.")]
Start = Annotated[
    str | None, typer.Option(help="Checkpoint to go on from; fresh: weights drawn anew.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that make batches.")]
Precision = Annotated[
    Literal["no", "bf16"],
    typer.Option(help="bf16: a third quicker where the processor computes it."),
]
Flite = Annotated[
    bool, typer.Option("--flite", help="Let flite, if installed, speak some of the English.")
]
RHVoice = Annotated[
    bool, typer.Option("--rhvoice", help="Let RHVoice, if installed, speak some of the English.")
]
Pico = Annotated[
    bool,
    typer.Option("--pico", help="Let Pico, if installed, speak some of the English and German."),
]
Optimizer = Annotated[
    Literal["adamw", "muon"] | None,
    typer.Option(help="What updates the matrices; the stage's own by default."),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Write over a checkpoint that is already there.")
]
Budget = Annotated[
    Literal["class", "full"],
    typer.Option(help="class: a little over a minute of training, for a lesson."),
]


def engines_of(*, flite: bool, rhvoice: bool, pico: bool) -> tuple[str, ...] | None:
    """The speech engines that a run's options name; None for the stage's own."""
    wanted = {"flite": flite, "rhvoice": rhvoice, "pico": pico}
    added = [name for name, is_wanted in wanted.items() if is_wanted]
    return ("espeak", *added) if added else None
