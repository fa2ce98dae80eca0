"""What the parity tests found: figures are kept with their test and printed when the run ends."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest


@dataclass
class Findings:
    """Figures of one test: largest differences, and counts that are summed over all tests."""

    largest: dict[str, float] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)

    def difference(self, what: str, value: float) -> float:
        """Keep a difference from transformers; returns it, so that it can be asserted on."""
        self.largest[what] = max(float(value), self.largest.get(what, 0.0))
        return float(value)

    def count(self, what: str, number: int) -> None:
        """Add to a count."""
        self.total[what] = self.total.get(what, 0) + number


@pytest.fixture
def findings(record_property: Callable[[str, object], None]) -> Iterator[Findings]:
    """Kept in the test's report, which also reaches the summary from a worker process."""
    found = Findings()
    yield found
    for what, value in found.largest.items():
        record_property("difference", (what, value))
    for what, number in found.total.items():
        record_property("count", (what, number))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per figure: the largest over all tests with the test that found it, then the counts."""
    differences: dict[str, tuple[float, str]] = {}
    counts: dict[str, int] = {}
    for outcome in ("passed", "failed", ""):
        for report in terminalreporter.getreports(outcome):
            if getattr(report, "when", None) != "teardown":
                continue
            for kind, entry in report.user_properties:
                if kind == "difference":
                    what, value = entry
                    if value >= differences.get(what, (0.0, ""))[0]:
                        differences[what] = (value, report.nodeid.rsplit("/", 1)[-1])
                elif kind == "count":
                    what, number = entry
                    counts[what] = counts.get(what, 0) + number
    if not differences and not counts:
        return
    terminalreporter.section("largest differences from transformers")
    width = max(map(len, [*differences, *counts]))
    for what, (value, where) in sorted(differences.items()):
        terminalreporter.write_line(f"{what:<{width}}  {value:<9.2g} {where}")
    for what, number in sorted(counts.items()):
        terminalreporter.write_line(f"{what:<{width}}  {number}")
