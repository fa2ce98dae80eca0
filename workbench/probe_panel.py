"""Where the mode can be read off, layer by layer, and what a push along it does."""

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import modes_state
from clip_state import PickedClip
from guarded import tell, told
from model_state import ModelLoad
from modes_html import probe_svg, probe_words, tokens_html
from modes_panel import turn_key
from modes_state import ModesSettings, ProbeJob
from plain import plain
from q2a_core.inspection.mode_probe import ModeProbe
from q2a_core.inspection.mode_scenes import MODE_TASKS
from q2a_core.inspection.modes import ModeReply
from q2a_core.inspection.steering import random_direction
from vector import draw_svg

KINDS = {"means": "between the means", "probe": "the probe's weights"}
TEACH_PROBE = """
**What you see.** The last position of the prompt is where the first word of the reply is decided. A straight cut
through its hidden states tells the two classes apart on clips that the cut was not fitted to (blue, with a 95 %
interval). The grey bars are the same procedure on shuffled labels: what luck and the probe's size give.

**Try this.** All three tasks. A written question shows after the first block; a spoken one has to be heard, and a
question among statements has to be understood.

**Why it is so.** At the embedding the last position is the same token in every prompt, so nothing can be read there.
Every block lets it look at the clip and the text.

**Limits.** What can be read off need not be used, and the two classes differ in more than the mode. That is why the
push below exists.
"""
TEACH_PUSH = """
**What you see.** The same reply decoded while a direction is added to the hidden state after one block, at every step.
Strength 1 is as far as the means of the two classes lie apart, for all directions alike. Beside it a random direction
of the same length: any push that is long enough breaks a reply.

**Try this.** Compare *between the means* with *the probe's weights*: the direction that tells the classes apart best is
not the one that the model itself goes along.

**Limits.** One clip is an anecdote: measure on clips that the probe never saw. A reply's kind is counted by its first
two words.
"""


def probe(
    settings: ModesSettings, clip: PickedClip, load: ModelLoad, answered: dict[str, ModeReply]
) -> ModeProbe | None:
    """The probe of the chosen task, or the button that starts it."""
    settings.widget(
        st.segmented_control,
        "Tell apart",
        "task",
        list(MODE_TASKS),
        format_func=lambda name: MODE_TASKS[name].title,
        required=True,
    )
    task = MODE_TASKS[settings.task]
    key = ("probe", load.source, load.stamp, task.name)
    if key not in modes_state.known_jobs():
        st.caption(
            f"A probe needs many clips, not one: {modes_state.EXAMPLES} are made from the mini world, with voices and "
            "wordings that training never heard, and every layer's state is kept. Once per checkpoint."
        )
        if not st.button(
            "Run the probe", type="primary", icon=":material/science:", key="run_probe"
        ):
            return None
    job = modes_state.probe_job(load, task.name)
    found = _finished(job, "probe")
    if found is None:
        return None
    settings.layer = min(settings.layer, len(found.layers) - 1) or max(found.best.layer, 1)
    left, right = st.columns([3, 2], gap="large")
    with left:
        draw_svg(probe_svg(found, settings.layer), key="probe_svg")
    best = found.best
    right.markdown(
        f"Best after **{'the embedding' if best.layer == 0 else f'block {best.layer}'}**: {best.accuracy.value:.0%} "
        f"({best.accuracy.low:.0%} to {best.accuracy.high:.0%}), shuffled labels {best.control:.0%}."
    )
    right.caption(plain(task.caution))
    if not found.has_speech:
        right.caption("There is no speech engine here: the clips hold sounds only.")
    _draw_readings(settings, clip, load, found, answered, right)
    right.caption(
        plain(
            f"{found.checkpoint} {found.checkpoint_hash} · {found.examples} clips, seed {found.seed}, 5 folds, 20 "
            f"shuffles · live, {found.seconds:.0f} s on this machine"
        )
    )
    with st.expander("The same in words"):
        st.markdown(plain(probe_words(found)))
    return found


def _draw_readings(
    settings: ModesSettings,
    clip: PickedClip,
    load: ModelLoad,
    found: ModeProbe,
    answered: dict[str, ModeReply],
    place: DeltaGenerator,
) -> None:
    """Where this clip lies at the best layer, in each mode."""
    from q2a_core.inspection.mode_probe import turn_readings

    lines = []
    for name, done in answered.items():
        key = ("reading", found.task.name, turn_key(clip, load, done.turn))
        values = settings.results.once(
            key,
            lambda done=done: turn_readings(
                load.future.result(), found, done.turn.waveform, done.turn.text, split=True
            ),
        )
        value = float(values[found.best.layer])
        lines.append(f"- {name}: {value:+.1f}, nearer to *{found.task.classes[value > 0]}*")
    if lines and found.best.layer:
        place.markdown(
            f"**This clip**, −1 an average {found.task.classes[0]}, +1 an average {found.task.classes[1]}:\n\n"
            + "\n".join(lines)
        )


def push(
    settings: ModesSettings,
    clip: PickedClip,
    load: ModelLoad,
    found: ModeProbe | None,
    answered: dict[str, ModeReply],
    *,
    split: bool,
) -> None:
    """Steering: one reply under a push, and what pushes do to many."""
    if found is None or not answered:
        st.caption("Run the probe first: it finds the direction to push along.")
        return
    layers, modes = list(range(1, len(found.layers))), list(answered)
    knobs = st.columns(4)
    settings.widget(knobs[0].selectbox, "Reply", "pushed", modes)
    if len(layers) > 1:
        settings.widget(knobs[1].select_slider, "After block", "layer", layers)
    else:
        settings.layer = 1
    settings.widget(
        knobs[2].selectbox,
        "Direction",
        "direction",
        list(KINDS),
        format_func=lambda kind: KINDS[kind],
    )
    strengths = {"min_value": -3.0, "max_value": 3.0, "step": 0.25}
    settings.widget(knobs[3].slider, "Strength", "strength", **strengths)
    st.caption(
        f"Positive pushes towards *{found.task.classes[1]}*, negative towards *{found.task.classes[0]}*."
    )
    done = answered[settings.pushed]
    vector = found.layers[settings.layer].direction(settings.direction)
    columns = st.columns(3)
    columns[0].markdown("**No push**")
    columns[0].html(tokens_html(done.pieces, done.reply.logps, label="reply without a push"))
    control = random_direction(vector, np.random.default_rng(settings.layer))
    for column, title, along in (
        (columns[1], KINDS[settings.direction].capitalize(), vector),
        (columns[2], "A random direction", control),
    ):
        with column, told():
            st.markdown(f"**{title}**, {settings.strength:+g}")
            pushed = _pushed(settings, load, done, along, split=split)
            st.html(tokens_html(pushed.pieces, pushed.reply.logps, label=title))
    _draw_effects(settings, load, found)


def _pushed(
    settings: ModesSettings, load: ModelLoad, done: ModeReply, along, *, split: bool
) -> ModeReply:
    from q2a_core.inspection.modes import answer_turn
    from q2a_core.inspection.steering import steer

    chat = steer(load.future.result(), settings.layer, along, settings.strength)
    return answer_turn(chat, done.turn, split=split)


def _draw_effects(settings: ModesSettings, load: ModelLoad, found: ModeProbe) -> None:
    key = ("effects", load.source, load.stamp, found.task.name, settings.layer, settings.direction)
    if key not in modes_state.known_jobs() and not st.button(
        f"Measure on {modes_state.HELD_OUT} other clips", icon=":material/bar_chart:", key="measure"
    ):
        return
    job = modes_state.effects_job(load, found, settings.layer, settings.direction)
    effects = _finished(job, "measure")
    if effects is None:
        return
    head = (
        "| strength | turned | 95 % | kept | neither | random: turned | random: neither |\n|"
        + "---|" * 7
    )
    rows = [
        f"| {e.strength:g} | **{e.turned.value:.0%}** | {e.turned.low:.0%} to {e.turned.high:.0%} | {e.kept.value:.0%} "
        f"| {e.neither:.0%} | {r.turned.value:.0%} | {r.neither:.0%} |"
        for e, r in zip(effects[settings.direction], effects["random"], strict=True)
    ]
    st.markdown("\n".join([head, *rows]))
    st.caption(
        f"{modes_state.HELD_OUT} clips that the probe never saw, half of each class, each pushed towards the other "
        "class, greedy. Turned: begins like replies of the other class; neither: like no reply without a push. The "
        f"first row is the error of that count. {plain(found.checkpoint)} {found.checkpoint_hash}."
    )


def _finished(job: ProbeJob, name: str):
    """The job's result; while it runs a line that looks again, and where it failed its reason."""
    is_done = job.future.done()
    # a fragment in the end too: the browser may still ask for one more look
    st.fragment(_watch, run_every=None if is_done else 1.0)(job, was_done=is_done)
    if not is_done:
        return None
    if error := job.future.exception():
        tell(error)
        if st.button("Try again", key=f"retry_{name}"):
            modes_state.forget(job)
            st.rerun()
        return None
    return job.future.result()


def _watch(job: ProbeJob, *, was_done: bool) -> None:
    if was_done:
        return
    if job.future.done():
        st.rerun()
    st.progress(min(1.0, job.done / job.total) if job.total else 0.0, text=plain(job.line))
