"""Sums over steps and what each is divided by: the losses between two lines of the run log."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True, slots=True)
class Tally:
    """Summed losses by name, with the tokens, clips or pairs that they are sums over; `tally[name]` is the mean."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    """Positions that the decoder read, padding included."""

    def __getitem__(self, name: str) -> float:
        return self.sums[name] / max(self.counts[name], 1)

    def means(self) -> dict[str, float]:
        """The mean of everything that occurred."""
        return {name: self[name] for name, count in self.counts.items() if count}

    def add(self, other: "Tally") -> None:
        """Count another step in."""
        for name in other.sums:
            self.sums[name] = self.sums.get(name, 0.0) + other.sums[name]
            self.counts[name] = self.counts.get(name, 0) + other.counts[name]
        self.tokens += other.tokens

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it, exactly."""
        return {"sums": self.sums, "counts": self.counts, "tokens": self.tokens}
