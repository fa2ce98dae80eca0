"""Flash attention step by step: the map so far with the tile at work, and what is held between two tiles, in words."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from clip_state import PickedClip
from model_state import ModelLoad
from q2a_core.inspection import flash_clip
from q2a_core.inspection.flash_clip import EncoderInputs, HeadRun, StepView
from q2a_core.inspection.flash_pictures import held_pictures, map_picture, side_by_side
from q2a_core.inspection.wording import counted
from q2a_core.lengths import ENCODER_FRAME_SECONDS
from settings import change, kept

CLIPS_KEPT, RUNS_KEPT = 4, 24


@dataclass(frozen=True)
class KernelCase:
    """What is looked at: a clip, a model, one of its heads, and how far the clip is padded."""

    clip: PickedClip
    load: ModelLoad
    layer: int
    head: int
    beside: float

    @property
    def key(self) -> tuple[Any, ...]:
        return self.clip.key, self.load.source, self.load.stamp, self.beside


def inputs(case: KernelCase) -> EncoderInputs:
    """What enters each encoder block; kept for the next knob."""
    clip, source, stamp, beside = case.key
    return _inputs(clip, source, stamp, beside, case)


@st.cache_resource(max_entries=CLIPS_KEPT, show_spinner=False)
def _inputs(clip: str, source: str, stamp: str, beside: float, _case: KernelCase) -> EncoderInputs:
    model, samples = _case.load.future.result().model, _case.clip.waveform.samples
    return flash_clip.encoder_inputs(model, samples, beside_seconds=beside)


def head(case: KernelCase) -> tuple[Any, Any, Any]:
    """Queries, keys and values of the head."""
    model = case.load.future.result().model
    return flash_clip.head_tensors(model, inputs(case), layer=case.layer, head=case.head)


def tiles(case: KernelCase) -> tuple[int, ...]:
    """Sizes that the clip can be cut into."""
    return flash_clip.tile_choices(inputs(case).places)


@st.cache_resource(max_entries=RUNS_KEPT, show_spinner=False)
def _run(key: tuple[Any, ...], layer: int, head_: int, tile: int, _case: KernelCase) -> HeadRun:
    return flash_clip.run_head(*head(_case), length=inputs(_case).length, tile=tile)


def steps(case: KernelCase, tile: int) -> None:
    """The step slider, the map, and what the kernel holds after the step."""
    found = _run(case.key, case.layer, case.head, tile, case)
    number = _step_knob(len(found.run.steps), found.tiles)
    view = flash_clip.view_step(found, number)
    left, right = st.columns([1, 1], gap="large")
    with left:
        st.image(
            map_picture(found, number),
            width="stretch",
            caption="Weights so far: rows are queries, columns keys, from the clip's start at the top left. Light is "
            "large, grey not yet seen, striped padding; the orange frame is the tile at work.",
            alt=f"attention weights after tile {number + 1} of {len(found.run.steps)}",
        )
    with right:
        st.markdown(step_words(view, found))
        _held(view)
        st.markdown(end_words(found))
    _row(view)  # below both: its table is too wide for half a narrow window


def _step_knob(count: int, across: int) -> int:
    """Which tile has just passed: a slider, and two buttons for one step."""
    if count == 1:
        st.caption("One tile holds the whole clip: attention as the formula writes it.")
        return 0
    number = kept(
        st.select_slider,
        "Step",
        tuple(range(count)),
        key="kernel_step",
        default=0,
        format_func=lambda step: (
            f"{step + 1} of {count}: queries {step // across + 1}, keys {step % across + 1}"
        ),
    )
    with st.container(horizontal=True, key="kernel_walk"):
        for by, label, icon in ((-1, "Back", "chevron_left"), (1, "Next", "chevron_right")):
            there = number + by
            st.button(
                label,
                icon=f":material/{icon}:",
                key=f"kernel_step_{'back' if by < 0 else 'on'}",
                disabled=not 0 <= there < count,
                on_click=change,
                args=("kernel_step", there),
            )
    return number


def step_words(view: StepView, found: HeadRun) -> str:
    """What the tile did, in words."""
    where = f"**Queries {_times(view.queries)} meet keys {_times(view.keys)}.** "
    if view.skipped:
        what = "query" if not view.valid_rows else "key"
        return where + f"Every {what} of the tile is padding: it is skipped, nothing is read."
    factors = view.rescale[: view.valid_rows]
    if view.keys[0] == 0:
        text = "The first keys: nothing was kept before, so each row's maximum is its largest score so far."
    elif view.grew:
        text = (
            f"The maximum grew in {view.grew} of {view.valid_rows} rows; there the old sum and accumulator are "
            f"multiplied by exp(old - new), {factors.min():.3g} in the row where it grew most."
        )
    else:
        text = "No score here is larger than what its row has seen: maxima stay, all factors are 1."
    if view.unfinished is not None:
        text += (
            f" If one divided now, the answer would be off by at most {view.unfinished:.2g}"
            f"{': the last keys have passed, these rows are done.' if _is_last(view, found) else '.'}"
        )
    return where + text


def end_words(found: HeadRun) -> str:
    """The equality with the reference, and what padding costs."""
    run = found.run
    tiles, skipped = len(run.steps), sum(step.skipped for step in run.steps)
    text = (
        f"**{'One tile' if tiles == 1 else f'All {tiles} tiles'}: largest difference to the reference "
        f"{found.difference:.1e}** (softmax of the whole map, then the values)."
    )
    if skipped:
        are = "is" if skipped == 1 else "are"
        text += f" {counted(skipped, 'tile')} {are} padding and skipped; a dense kernel would compute them all."
    text += f" The whole map has {counted(run.out.shape[0] ** 2, 'weight')}"
    return text + ("." if tiles == 1 else f"; the kernel holds {found.tile**2:,} scores at a time.")


def _is_last(view: StepView, found: HeadRun) -> bool:
    """Whether no keys of the clip are left for these queries."""
    return view.keys[1] >= found.run.length


def _held(view: StepView) -> None:
    """Maximum, sum and accumulator as one picture, so that a row stands at one height."""
    if view.skipped and not view.valid_rows:
        return
    pictures = held_pictures(view)
    alt = f"{', '.join(pictures)} of each row after this tile"
    st.image(side_by_side(list(pictures.values())), width="stretch", alt=alt)
    known = view.valid_rows
    ranges = {
        "maximum": (view.new_max[:known].min(), view.new_max[:known].max()),
        "sum": (view.new_sum[:known].min(), view.new_sum[:known].max()),
        "accumulator": (view.accumulator[:known].min(), view.accumulator[:known].max()),
    }
    spans = (f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in ranges.items())
    st.caption(f"From the left: {', '.join(spans)}.")


def _row(view: StepView) -> None:
    """One row of what is held, in numbers."""
    known = view.valid_rows
    if view.skipped and not known:
        return
    rows = tuple(range(known))
    row = 0
    if known > 1:
        row = kept(
            st.select_slider,
            "A row in numbers",
            rows,
            key="kernel_row",
            default=0,
            format_func=lambda place: f"{ENCODER_FRAME_SECONDS * (view.queries[0] + place):.2f} s",
        )
    st.markdown(row_table(view, row))


def row_table(view: StepView, row: int) -> str:
    """Markdown: one row's maximum and sum before and after, and its accumulator."""
    first = " ".join(f"{value:.3g}" for value in view.accumulator[row, :4])
    return "\n".join(
        [
            "| | before | factor | after |",
            "|:--|--:|--:|--:|",
            f"| maximum | {_number(view.old_max[row])} | | {_number(view.new_max[row])} |",
            f"| sum | {_number(view.old_sum[row])} | {view.rescale[row]:.3g} | {_number(view.new_sum[row])} |",
            f"| accumulator, first values | | {view.rescale[row]:.3g} | {first} |",
        ]
    )


def _number(value: float) -> str:
    return "none yet" if value == float("-inf") else f"{value:.4g}"


def _times(span: tuple[int, int]) -> str:
    first, stop = (ENCODER_FRAME_SECONDS * frame for frame in span)
    return f"{first:.2f}-{stop:.2f} s"
