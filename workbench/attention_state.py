"""What the page Attention holds for one browser tab: settings that survive a change of page, of clip and of model."""

from dataclasses import dataclass, field
from typing import Any

from remembered import Remembered

Span = tuple[int, int]


@dataclass
class AttentionState:
    """Where the visitor looks, and what is overwritten."""

    questions: Remembered[str, str] = field(default_factory=Remembered)
    """By clip; empty is the clip alone."""
    part: str = "decoder"
    """Which maps are shown: the decoder's, over the reply's words, or the encoder's."""
    away: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)
    """Layer and head of the part that is not shown; those of the part that is are `Session.spot`'s."""
    rows: Remembered[tuple[str, str], int] = field(default_factory=Remembered)
    """Locked rows, by case and part."""
    spans: Remembered[str, Span] = field(default_factory=Remembered)
    """Range of the edit, by case."""
    fill: str = "mean"
    keep: bool = False
    site: Any = None
    """`edits.Site`; None until the model is there."""
    donor: str = ""
    """Sample whose states are put in, where the fill is another clip."""
    cause: tuple[str, str, Any] | None = None
    """The last layer-by-time map: its case, how it was made, and the `causes.CausalMap`."""
