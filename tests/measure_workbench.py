"""Measure the workbench in a real browser: how fast, how exact, how safe. `python tests/measure_workbench.py --help`.

It serves the workbench from a process of its own with the shipped checkpoints, drives Debian's chromium, prints a table
beside the bars that the project holds itself to, and can write the numbers as JSON. Needs the `dev` extra and chromium.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import real_browser
import workbench_in_browser as rows
from q2a_core.training.runs import background
from workbench_in_browser import median

TWO_LINES = "import streamlit as st\nst.write('two lines')\n"
ROWS = ("open", "switch", "knobs", "playhead", "train", "visitors", "uploads", "pages")


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    value: str
    bar: str
    held: bool


def seconds(values: list[float]) -> str:
    """The median with the range."""
    return f"{median(values):.3f} s ({min(values):.3f} to {max(values):.3f}, n {len(values)})"


class Measurement:
    """One run over the rows that were asked for."""

    def __init__(self, address: str, browser: Any, folder: Path, options: argparse.Namespace):
        self.address, self.browser, self.folder, self.options = address, browser, folder, options
        self.factor = 2 if options.beside_training else 1
        self.rows: list[Row] = []
        self.raw: dict[str, Any] = {}
        self.watched: list[list[str]] = []

    def watch(self, context: Any) -> None:
        self.watched.append(real_browser.watch(context, allowed=real_browser.BY_STREAMLIT))

    def add(self, what: str, value: str, bar: str, held: bool) -> None:
        self.rows.append(Row(what, value, bar, held))
        print(f"{'ok  ' if held else 'MISS'} {what}: {value}", file=sys.stderr, flush=True)

    def page(self, path: str = "") -> Any:
        page = rows.new_page(self.browser, self.watch)
        rows.opened(page, self.address, path)
        if not path:
            rows.ready(page)
        return page

    def open(self) -> None:
        first = rows.new_page(self.browser, self.watch)
        self.raw["first_visit"] = rows.opened(first, self.address)
        rows.ready(first)
        first.context.close()
        app = self.folder / "two_lines.py"
        app.write_text(TWO_LINES, "utf-8")
        with real_browser.serving(self.folder / "two_lines.txt", app=app) as plain:
            later = rows.first_pictures(
                self.browser, self.watch, self.address, plain, self.options.repeats
            )
        self.raw["open"] = later
        self.add(
            "first gallery picture, above a two-line app",
            f"{seconds(later)}; first visit of a fresh server {self.raw['first_visit']:.2f} s in all",
            f"<= {1.2 * self.factor:g} s",
            median(later) <= 1.2 * self.factor,
        )

    def switch(self) -> None:
        page = self.page()
        self.raw["switch"] = taken = rows.clip_switches(page, self.options.repeats * 2)
        page.context.close()
        limit = 0.5 * self.factor
        self.add("clip switch", seconds(taken), f"< {limit:g} s", median(taken) < limit)

    def knobs(self) -> None:
        count, self.raw["knobs"] = self.options.repeats, {}
        for name, (path, selector, find) in KNOBS.items():
            page = self.page(path)
            act = find(page)
            rows.knob(page, selector, act, 1)  # what is computed once
            self.raw["knobs"][name] = taken = rows.knob(page, selector, act, count)
            page.context.close()
            limit = 0.2 * self.factor
            self.add(f"knob: {name}", seconds(taken), f"< {limit:g} s", median(taken) < limit)

    def playhead(self) -> None:
        page = self.page()
        found = rows.playhead(page, self.folder)
        page.context.close()
        self.raw["playhead"] = found
        off = [1000 * value for value in found["off"]]
        worst = max(map(abs, off), default=float("nan"))
        self.add(
            "playhead against sound over 10 s",
            f"median {median(off):+.1f} ms, worst {worst:.1f} ms of {len(off)}; {found['wrong_tokens']} wrong tokens",
            "within 40 ms; token = floor(t / 40 ms)",
            bool(off) and worst <= 40 and not found["wrong_tokens"],
        )

    def train(self) -> None:
        page = rows.new_page(self.browser, self.watch)
        runs = self.folder / "home" / "runs"
        found = rows.stop_and_resume(page, self.address, runs, beside=self.beside_training)
        page.context.close()
        self.raw["train"] = found
        limit = 1.0 * self.factor
        held = median(found["stops"]) < limit
        self.add("Stop to stopped", seconds(found["stops"]), f"< {limit:g} s", held)
        last = found["before"][-1], found["after"][-1]
        words = f"steps {last[0]} and, resumed, {last[1]}"
        self.add("resume", words, "the curve continues", found["continues"])

    def beside_training(self) -> None:
        """Clip switch and a knob while a run trains on the same cores, at twice the bar."""
        page, count = self.page(), self.options.repeats
        switches = rows.clip_switches(page, count)
        page.context.close()
        name, (path, selector, find) = next(iter(KNOBS.items()))
        page = self.page(path)
        act = find(page)
        rows.knob(page, selector, act, 1)
        knobs = rows.knob(page, selector, act, count)
        page.context.close()
        self.raw["beside_training"] = {"switch": switches, "knob": knobs}
        for what, taken, bar in (("clip switch", switches, 1.0), (f"knob: {name}", knobs, 0.4)):
            limit = bar * self.factor
            what = f"{what}, while a run trains"
            self.add(what, seconds(taken), f"< {limit:g} s", median(taken) < limit)

    def visitors(self) -> None:
        found = rows.visitors(self.browser, self.watch, self.address, 5)
        self.raw["visitors"] = found
        self.add(
            "5 browser sessions at once",
            f"{found['right']} of {found['asked']} replies as alone, {len(found['strange'])} strange clips",
            "all right, none sees another's clip",
            found["right"] == found["asked"] and not found["strange"],
        )

    def uploads(self) -> None:
        page = self.page()
        folder = self.folder / "uploads"
        folder.mkdir()
        found = rows.uploads(page, folder, self.options.uploads)
        page.context.close()
        self.raw["uploads"] = found
        bad = found["missing"] + found["unclear"]
        self.add(
            f"{self.options.uploads} hostile uploads",
            f"{len(found['told'])} clear sentences" + (f", not: {', '.join(bad)}" if bad else ""),
            "a sentence each, no traceback, app alive",
            len(found["told"]) == self.options.uploads and not bad,
        )

    def pages(self) -> None:
        found = rows.pages_too_long()
        words = ", ".join(found) or "0"
        self.add("pages over 80 lines or with torch", words, "0", not found)

    def finish(self, log: Path) -> None:
        wrong = [line for lines in self.watched for line in lines]
        complaints = real_browser.complaints(log)
        self.raw["browser"], self.raw["log"] = wrong, complaints
        words = f"{len(wrong)} in the browser, {len(complaints)} in the log"
        what = "console errors, foreign requests, warnings in the log"
        self.add(what, words, "0", not wrong and not complaints)
        for line in [*wrong, *complaints]:
            print(f"     {line[:300]}", file=sys.stderr)


def _slider(name: str) -> Callable[[Any], Callable[[], None]]:
    def find(page: Any) -> Callable[[], None]:
        page.get_by_role("slider", name=name).first.focus()
        turns = iter(range(1000))
        return lambda: page.keyboard.press("ArrowRight" if next(turns) % 2 == 0 else "ArrowLeft")

    return find


def _toggle(name: str) -> Callable[[Any], Callable[[], None]]:
    return lambda page: page.get_by_text(name, exact=True).click


KNOBS: dict[str, tuple[str, str, Callable[[Any], Callable[[], None]]]] = {
    "length in the token budget": (
        "",
        ".st-key-closer_panel table",
        _slider("A clip of any length"),
    ),
    "layer on Kernel": ("kernel", ".st-key-kernel_panel", _slider("Encoder layer")),
    "table on Scoreboard": (
        "scoreboard",
        ".st-key-scoreboard_panel",
        _toggle("As a table"),
    ),
}
"""By name: the page, what changes, and how the knob is turned."""


def to_markdown(report: list[Row]) -> str:
    """The table."""
    lines = ["| what | measured | bar | held |", "| --- | --- | --- | --- |"]
    lines += [f"| {r.what} | {r.value} | {r.bar} | {'yes' if r.held else 'NO'} |" for r in report]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help=f"some rows, with commas: {', '.join(ROWS)}")
    parser.add_argument("--repeats", type=int, default=7, help="timed turns of each row")
    parser.add_argument("--uploads", type=int, default=40, help="hostile files to try")
    parser.add_argument("--output", type=Path, help="also write the numbers here, as JSON")
    parser.add_argument(
        "--beside-training",
        action="store_true",
        help="double the bars for time: something else trains on this machine",
    )
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(ROWS)
    if unknown := set(chosen) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        log = folder / "log.txt"
        home = {"Q2A_HOME": str(folder / "home")}
        with (
            real_browser.serving(log, environment=home) as address,
            real_browser.launched() as browser,
        ):
            run = Measurement(address, browser, folder, options)
            for name in chosen:
                try:
                    getattr(run, name)()
                except Exception as error:
                    run.add(name, f"failed: {str(error).splitlines()[0][:200]}", "", False)
        for left in (folder / "home" / "runs").glob("*"):
            background.stop(left)
        run.finish(log)
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "beside_training": options.beside_training,
        "rows": [asdict(row) for row in run.rows],
        "raw": run.raw,
    }
    if options.output:
        text = json.dumps(report, indent=1, ensure_ascii=False)
        options.output.write_text(text + "\n", encoding="utf-8")
    print(to_markdown(run.rows))
    return 0 if all(row.held for row in run.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
