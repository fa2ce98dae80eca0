"""What the page Attention holds for one browser tab: settings that survive a change of page, of clip and of model."""

from dataclasses import dataclass, field
from typing import Any, TypeVar

Span = tuple[int, int]
Key = TypeVar("Key")
Value = TypeVar("Value")
KEPT = 64
"""Clips, questions and models that a tab remembers its choices for."""


@dataclass
class AttentionState:
    """Where the visitor looks, and what is overwritten."""

    questions: dict[str, str] = field(default_factory=dict)
    """By clip; empty is the clip alone."""
    part: str = "decoder"
    """Which maps are shown: the decoder's, over the reply's words, or the encoder's."""
    away: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)
    """Layer and head of the part that is not shown; those of the part that is are `Session.spot`'s."""
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    """Locked rows, by case and part."""
    spans: dict[str, Span] = field(default_factory=dict)
    """Range of the edit, by case."""
    fill: str = "mean"
    keep: bool = False
    site: Any = None
    """`edits.Site`; None until the model is there."""
    donor: str = ""
    """Sample whose states are put in, where the fill is another clip."""
    cause: tuple[str, str, Any] | None = None
    """The last layer-by-time map: its case, how it was made, and the `causes.CausalMap`."""


def hold(kept: dict[Key, Value], key: Key, value: Value) -> None:
    """Put a value at the young end of `kept`; beyond KEPT the oldest go."""
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > KEPT:
        kept.pop(next(iter(kept)))
