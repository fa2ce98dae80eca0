"""Find the bug: a kernel that is broken in one of five ways, its errors from outside, and a guess."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st

import kernel_steps
from kernel_steps import RUNS_KEPT, KernelCase
from q2a_core.inspection.bug_hunt import ErrorPattern, error_pattern, judge_guess, planted
from q2a_core.inspection.flash_pictures import error_pictures
from q2a_core.inspection.flash_steps import FAULTS
from settings import change, kept
from state import Session

LAST_SEED = 9999


@dataclass
class BugHunt:
    """One planted bug and what was guessed."""

    seed: int = 1
    guesses: list[str] = field(default_factory=list)
    """Names of faults, in order."""
    shown: bool = False
    """Whether the visitor gave up and was told."""

    def guess(self, name: str) -> None:
        """Take a guess; the same one again, as by a second click, is no other try."""
        if name not in self.guesses[-1:]:
            self.guesses.append(name)

    def turn_to(self, seed: int) -> None:
        """Begin anew if it is another bug."""
        if seed != self.seed:
            self.seed, self.guesses, self.shown = seed, [], False


def hunt(session: Session, case: KernelCase, tile: int) -> None:
    """The error pattern of a broken kernel; which one it is is told once it was found, or on request."""
    seed = _seed()
    bug = session.of(BugHunt)
    bug.turn_to(seed)
    pattern = _pattern(case.key, case.layer, case.head, tile, seed, case)
    left, right = st.columns([1, 1], gap="large")
    with left:
        _errors(pattern, tile)
    with right:
        st.markdown(pattern_words(pattern))
        _guess(bug)


def _seed() -> int:
    """The bug's number, so that a whole class can look for the same one."""
    number, another = st.columns([1, 3], vertical_alignment="bottom")
    with number:
        seed = int(
            kept(
                st.number_input,
                "Bug number",
                key="bug_seed",
                default=1,
                min_value=0,
                max_value=LAST_SEED,
                step=1,
            )
        )
    another.button(
        "Another bug",
        icon=":material/casino:",
        key="another_bug",
        on_click=change,
        args=("bug_seed", (seed + 1) % (LAST_SEED + 1)),
    )
    return seed


@st.cache_resource(max_entries=RUNS_KEPT, show_spinner=False)
def _pattern(
    key: tuple[Any, ...], layer: int, head: int, tile: int, seed: int, _case: KernelCase
) -> ErrorPattern:
    length = kernel_steps.inputs(_case).length
    return error_pattern(*kernel_steps.head(_case), length=length, tile=tile, seed=seed)


def _errors(pattern: ErrorPattern, tile: int) -> None:
    """Errors by tile and by row as one picture, so that a query stands at one height."""
    st.image(
        error_pictures(pattern, tile=tile),
        width="stretch",
        caption="From the left: by tile, how wrong the answer is if it stopped after these keys (across), for these "
        "queries (down), dark is right, grey skipped; by row; the weights' sum, from 1.",
        alt="errors of the broken kernel by tile and by row; the numbers stand beside the picture",
    )


def pattern_words(pattern: ErrorPattern) -> str:
    """The pictures in numbers; nothing that names the fault."""
    wrong, total = int(pattern.wrong_rows.sum()), len(pattern.by_row)
    if not wrong:
        return (
            "**With these knobs the output is right.** The bug is there and does not show: change the tile, or pad the "
            "clip, and see when it does. That is a clue too."
        )
    columns = [
        f"{worst:.2g}" if worst == worst else "skipped"
        for worst in (_worst(column) for column in pattern.by_tile.T)
    ]
    return (
        f"**{wrong} of {total} rows are wrong**, by up to {pattern.by_row.max() / pattern.size:.2g} times the largest "
        f"right value. In {int(pattern.grew.sum())} rows the maximum grew after the first tile of keys; "
        f"{pattern.wrong_that_grew} of them are wrong, and {wrong - pattern.wrong_that_grew} of the others.\n\n"
        f"The weights of a row add up to {pattern.weight_sums.min():.3g} to {pattern.weight_sums.max():.3g}; right is "
        f"1.\n\nLargest error after each tile of keys: {' · '.join(columns)}"
    )


def _worst(column: np.ndarray) -> float:
    return float("nan") if np.isnan(column).all() else float(np.nanmax(column))


def _guess(bug: BugHunt) -> None:
    """Five answers, a verdict on each guess, and the way out."""
    key = f"bug_guess_{bug.seed}"
    guess = st.radio(
        "What is wrong in this kernel?",
        list(FAULTS),
        index=None,
        key=key,
        format_func=lambda name: FAULTS[name].title,
    )
    found = bool(bug.guesses) and judge_guess(bug.seed, bug.guesses[-1]).right
    over = found or bug.shown
    check, give_up = st.columns(2)
    check.button(
        "Check",
        icon=":material/check:",
        key="bug_check",
        type="primary",
        disabled=guess is None or over,
        on_click=lambda: bug.guess(st.session_state[key]),
    )
    give_up.button(
        "Tell me",
        icon=":material/lightbulb:",
        key="bug_tell",
        disabled=over,
        on_click=lambda: setattr(bug, "shown", True),
    )
    if found:
        tries = len(bug.guesses)
        st.success(
            f"**Found, at try {tries}.** {judge_guess(bug.seed, bug.guesses[-1]).text}",
            icon=":material/check_circle:",
        )
    elif bug.shown:
        fault = FAULTS[planted(bug.seed)]
        st.info(f"**{fault.title}.** {fault.why}", icon=":material/lightbulb:")
    elif bug.guesses:
        named = bug.guesses[-1]
        st.warning(
            f"**Not this one.** “{FAULTS[named].title}” would look so: {judge_guess(bug.seed, named).text}",
            icon=":material/close:",
        )
