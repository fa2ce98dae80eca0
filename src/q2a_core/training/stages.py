"""What a training run is: data, length, optimiser, loss weights and which parts move.

The paper names three stages and not which weights each of them trains; the tables here are ours.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from q2a_core.errors import RunError

Part = Literal["audio_encoder", "projector", "decoder"]
PARTS: tuple[Part, ...] = ("audio_encoder", "projector", "decoder")


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    """One run of one stage."""

    name: str
    """pretrain; sft and dpo follow."""
    steps: int
    """Optimizer steps."""
    batch_size: int = 16
    """Dialogues in a step."""
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
    trains: tuple[Part, ...] = PARTS
    """Parts whose weights move."""
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
        if self.steps < 1 or self.batch_size < 1:
            raise RunError(
                f"steps is {self.steps} and batch_size {self.batch_size}; expected at least 1"
            )
        unknown = set(self.trains) - set(PARTS)
        if unknown or not self.trains:
            raise RunError(f"trains is {self.trains}; expected some of {', '.join(PARTS)}")

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "StageConfig":
        """Read back what `to_dict` gave. Raises RunError for unknown names."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise RunError(f"the run's config has unknown entries {sorted(unknown)}")
        known: dict[str, Any] = dict(values)
        for name in ("betas", "trains"):
            if name in known:
                known[name] = tuple(known[name])
        return cls(**known)


def pretrain(*, steps: int = 4800, **changes: Any) -> StageConfig:
    """The first stage: every part learns, from spelling to answering, on the mini world."""
    return StageConfig(name="pretrain", steps=steps, **changes)
