"""What a training run is: data, length, optimiser, loss weights and which parts move.

The paper names three stages and not which weights each of them trains; the tables here are ours.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from q2a_core.errors import RunError
from q2a_core.world.scene_shares import RAMP
from q2a_core.world.speech.levels import Level
from q2a_core.world.speech.utterances import Engine

Part = Literal["audio_encoder", "projector", "decoder"]
FRESH_START = "fresh"
"""In the place of a checkpoint's name on the command line: weights drawn anew."""
PARTS: tuple[Part, ...] = ("audio_encoder", "projector", "decoder")

AT_LEAST_ONE = ("steps", "batch_size", "accumulate", "save_every", "log_every", "sample_every")
ABOVE_ZERO = ("learning_rate", "beta", "max_grad_norm")
NOT_BELOW_ZERO = (
    "seed",
    "warmup_steps",
    "final_rate",
    "weight_decay",
    "ctc_weight",
    "nll_weight",
)
"""What a setting must be for a run to make sense."""
MOST_SEED = 2**63 - 1
"""The largest that every generator takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    """One run of one stage."""

    name: str
    """start, pretrain, sft or dpo."""
    steps: int
    """Optimizer steps."""
    start: str | None = None
    """Checkpoint to go on from; None begins with fresh weights."""
    batch_size: int = 16
    """Dialogues in a micro-batch. What is said here is what runs had that say nothing of it."""
    accumulate: int = 1
    """Micro-batches in a step, those of all processes together; their tokens weigh the same."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """What updates the matrices between the layers; all other weights have AdamW."""
    learning_rate: float = 1e-3
    """Peak of the schedule."""
    warmup_steps: int = 200
    """Steps of linear rise before the cosine falls."""
    final_rate: float = 0.02
    """Learning rate at the end, as a share of the peak."""
    weight_decay: float = 0.02
    """On matrices; vectors and embeddings have none."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's decay of first and second moment."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    ctc_weight: float = 1.0
    """Weight of the spelling loss on the encoder's frames; 0 leaves it out."""
    connected: bool = True
    """Whether the decoder hears the clip; without it, ear and tongue learn side by side."""
    beta: float = 0.1
    """How strongly DPO holds the model to its reference; other stages don't look at it."""
    nll_weight: float = 0.0
    """Weight in DPO of the chosen replies' own cross-entropy, per token: it keeps them likely (arXiv 2404.19733)."""
    trains: tuple[Part, ...] = PARTS
    """Parts whose weights move."""
    rates: dict[Part, float] = field(default_factory=dict)
    """Parts that learn at another rate, as factors of `learning_rate`."""
    level: Level = "grown"
    """World that the clips come from."""
    prompts: Literal["natural", "tags"] = "natural"
    """How the tasks are worded: natural language, or the hierarchical tags of Qwen-Audio."""
    engines: tuple[Engine, ...] = ("espeak",)
    """Speech engines that speak the training book."""
    ramp: int = RAMP
    """Clips over which the grown world reaches its full difficulty."""
    utterances: int = 12_000
    """Spoken phrases in the training book."""
    seed: int = 0
    """Decides weights, scenes and wording."""
    save_every: int = 500
    """Steps between saved states."""
    log_every: int = 10
    """Steps between lines in the run log."""
    sample_every: int = 500
    """Steps between decoded samples."""

    def __post_init__(self) -> None:
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise RunError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ABOVE_ZERO:
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise RunError(f"{name} is {getattr(self, name)}; expected a number over 0")
        for name in NOT_BELOW_ZERO:
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise RunError(f"{name} is {getattr(self, name)}; expected 0 or more")
        if self.seed > MOST_SEED:
            raise RunError(f"seed is {self.seed}; expected at most {MOST_SEED}")
        if self.level == "first" and (self.prompts == "tags" or self.engines != ("espeak",)):
            wanted = "tags" if self.prompts == "tags" else self.engines[-1]
            raise RunError(
                f"the first world knows no {wanted}; leave it out, or train in the grown world"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise RunError(f"betas are {self.betas}; expected two numbers from 0 to below 1")
        unknown = set(self.trains) - set(PARTS)
        if unknown or not self.trains:
            raise RunError(f"trains is {self.trains}; expected some of {', '.join(PARTS)}")
        for part, factor in self.rates.items():
            if part not in self.trains or not 0 < factor < math.inf:
                raise RunError(
                    f"rates gives {part} the factor {factor}; expected a factor over 0 for one of the parts "
                    f"that train: {', '.join(self.trains)}"
                )

    @property
    def step_size(self) -> int:
        """Dialogues in a step."""
        return self.batch_size * self.accumulate

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "StageConfig":
        """Read back what `to_dict` gave. Raises RunError for unknown names."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise RunError(f"the run's config has unknown entries {sorted(unknown)}")
        known: dict[str, Any] = {"level": "first"} | values  # what runs had that say nothing of it
        for name in ("betas", "trains", "engines"):
            if name in known:
                known[name] = tuple(known[name])
        return cls(**known)


MICRO_BATCH = 4
"""Dialogues in a micro-batch of every stage: a stop waits for one."""
SMALL: dict[str, Any] = {"batch_size": MICRO_BATCH, "accumulate": 4}
"""Sixteen dialogues in pieces that take less than 0.4 s each on two cores."""
GROWN: dict[str, Any] = {"level": "grown", "optimizer": "muon", **SMALL}
"""What the supervised stages share; from the same weights Muon's loss was 7 % below AdamW's after 200 steps."""


def start(*, steps: int = 6000, **changes: Any) -> StageConfig:
    """Before the paper's stages: the encoder learns to spell, the decoder how answers go, apart from each other."""
    values = {"connected": False, "trains": ("audio_encoder", "decoder")}
    return StageConfig(name="start", steps=steps, **{**GROWN, **values, **changes})


def pretrain(*, steps: int = 12_000, **changes: Any) -> StageConfig:
    """The first stage: every part learns, from spelling to answering typed questions."""
    return StageConfig(name="pretrain", steps=steps, **{**GROWN, **changes})


def sft(*, steps: int = 3000, **changes: Any) -> StageConfig:
    """Fine-tuning: both modes at once, on dialogues; every part learns, the encoder, which hears already, gently."""
    values = {"learning_rate": 4e-4, "ctc_weight": 0.3, "start": "mini-pretrain"}
    values |= {"rates": {"audio_encoder": 0.25}}
    return StageConfig(name="sft", steps=steps, **{**GROWN, **values, **changes})


def dpo(*, steps: int = 300, **changes: Any) -> StageConfig:
    """Preferences: projector and decoder learn, the encoder hears as before."""
    values: dict[str, Any] = {
        "level": "grown",
        "learning_rate": 5e-5,
        "ctc_weight": 0.0,
        "start": "mini-sft",
        "warmup_steps": 20,
        "weight_decay": 0.0,
        "utterances": 6000,
        "trains": ("projector", "decoder"),
        **SMALL,
    }
    return StageConfig(name="dpo", steps=steps, **{**values, **changes})


def part_rates(stage: StageConfig) -> dict[Part, float]:
    """Each part's rate as a factor of the learning rate; 0 where it is frozen."""
    return {part: stage.rates.get(part, 1.0) if part in stage.trains else 0.0 for part in PARTS}


def with_part_rates(stage: StageConfig, given: Sequence[str]) -> StageConfig:
    """The stage with the rates of some parts changed, each said as part=factor; a factor of 0 freezes a part.

    Raises RunError for what is no such pair, for unknown parts and a part that is said twice, for a projector between
    parts that learn apart, and where nothing is left to train.
    """
    rates, said = part_rates(stage), set()
    for text in given:
        part, _, factor = text.partition("=")
        try:
            value = float(factor)
        except ValueError:
            value = math.nan
        if part not in PARTS or not 0 <= value < math.inf:
            raise RunError(
                f"{text!r} is no rate of a part; expected part=factor, a factor of at least 0 for one of "
                f"{', '.join(PARTS)}"
            )
        if part in said:
            raise RunError(f"{part} is given two rates, {text!r} last; expected one for each part")
        said.add(part)
        rates[part] = value
    if rates["projector"] and not stage.connected:
        raise RunError(
            f"the projector cannot train in the stage {stage.name}, where the decoder does not hear the clip; leave it "
            "frozen, or train another stage"
        )
    return replace(
        stage,
        trains=tuple(part for part in PARTS if rates[part]),
        rates={part: rate for part, rate in rates.items() if rate not in (0.0, 1.0)},
    )


LESSON: dict[str, Any] = {
    "log_every": 2,
    "sample_every": 30,
    "save_every": 60,
    "batch_size": MICRO_BATCH,
    "accumulate": 2,
}
"""A short run is watched closely, stops between two small micro-batches, and makes many steps of few clips."""
CLASS_BUDGET: dict[str, dict[str, Any]] = {
    "start": {"steps": 150, "warmup_steps": 20, "utterances": 2000} | LESSON,
    "pretrain": {"steps": 115, "warmup_steps": 15, "start": "mini-start", "utterances": 2000}
    | LESSON,
    "sft": {"steps": 110, "warmup_steps": 15, "learning_rate": 8e-4, "utterances": 2000} | LESSON,
    "dpo": {"steps": 90, "warmup_steps": 10, "learning_rate": 1e-4, "utterances": 1500}
    | LESSON
    | {"accumulate": 4},
}
"""What a class does in little over a minute, from the shipped checkpoint of the stage before."""
SAMPLED_PAIRS = {"class": 110, "full": 800}
"""Preference pairs about the model's own replies, by budget: what they cost is the questions asked to find them."""
ABSENT_PAIRS = {"class": 24, "full": 250}
"""Pairs about things that are not there, which go with the sampled ones."""
