"""What the page Kernel holds for one browser tab beside its settings: how the search for the bug stands."""

from dataclasses import dataclass, field


@dataclass
class BugHunt:
    """One planted bug and what was guessed."""

    seed: int = 1
    guesses: list[str] = field(default_factory=list)
    """Names of faults, in order."""
    shown: bool = False
    """Whether the visitor gave up and was told."""
