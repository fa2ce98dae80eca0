"""The test clips one by one: heard, with the truth, every checkpoint's reply, and the judge's points and reasons."""

from io import BytesIO
from typing import TYPE_CHECKING

import streamlit as st

import panels
import spoken_book
import state
from explain import explain
from guarded import tell
from plain import plain
from q2a_core import paths
from q2a_core.audio import wav_bytes
from q2a_core.errors import Q2AError
from q2a_core.evaluation import browse
from q2a_core.evaluation.browse import LARGEST_NUMBER, SUITES, Example, JudgedReply, Question
from q2a_core.evaluation.items import Item
from q2a_core.evaluation.mini_scores import RIGHT
from q2a_core.evaluation.scoreboard import Report
from q2a_core.lengths import SAMPLE_RATE
from q2a_core.world.speech.utterance_book import UtteranceBook
from q2a_core.world.speech.utterances import Utterance
from settings import change, kept
from state import Session

if TYPE_CHECKING:
    from q2a_core.inference import AudioChat

ANY = "any checkpoint"
CLIPS_KEPT = 32


@st.cache_resource(show_spinner=False)
def _plan() -> list[Utterance]:
    return browse.planned()


@st.cache_resource(max_entries=4, show_spinner="Judging the recorded replies…")
def _recorded(hashes: tuple[tuple[str, str], ...], _reports: list[Report]) -> list[Example]:
    return browse.recorded_examples(_reports, _plan())


@st.cache_resource(max_entries=256, show_spinner=False)
def _question(suite: str, number: int) -> Question:
    return browse.question(suite, number, _plan())


@st.cache_resource(max_entries=CLIPS_KEPT, show_spinner=False)
def _item(suite: str, number: int, book: str, _book: UtteranceBook) -> Item:
    return browse.hear(_question(suite, number), _book)


def examples(session: Session, reports: list[Report]) -> None:
    """Choose an example, or step through the wrong replies."""
    recorded = _recorded(tuple((report.name, report.hash) for report in reports), reports)
    _filter(recorded, reports)
    if left_out := browse.left_out(reports, recorded):
        st.caption(
            f"{left_out} recorded replies are left out: their clip or question is not what this code asks today."
        )
    asked = _choice()
    found = [example for example in recorded if _place(example) == (asked.suite, asked.number)]
    _draw(session, asked, found[0] if found else None)


def _place(example: Example) -> tuple[str, int]:
    return example.question.suite, example.question.number


def _filter(recorded: list[Example], reports: list[Report]) -> None:
    """The wrong ones among the recorded replies, to jump to."""
    if not recorded:
        st.caption(
            "No report here holds examples of these suites; every example can still be asked live."
        )
        return
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left:
        names = [ANY, *(report.name for report in reports)]
        whose = kept(st.selectbox, "Wrong replies of", names, key="wrong_of", default=ANY)
    wrong = [
        example
        for example in recorded
        if any(not said.right and whose in (ANY, said.checkpoint) for said in example.said)
    ]
    with right:
        st.selectbox(
            f"{len(wrong)} of {len(recorded)} recorded examples: at most {RIGHT:g} of the judge's 10 points",
            range(len(wrong)),
            index=None,
            key="wrong_one",
            placeholder="jump to a wrong reply",
            format_func=lambda place: _line(wrong[place], whose),
            on_change=_jump,
            args=(wrong,),
        )


def _line(example: Example, whose: str) -> str:
    said = next(s for s in example.said if not s.right and whose in (ANY, s.checkpoint))
    suite, number = _place(example)
    return f"{suite} {number + 1}: “{said.reply}” for “{example.question.truth}”"


def _jump(wrong: list[Example]) -> None:
    place = st.session_state["wrong_one"]
    if place is not None and place < len(wrong):
        suite, number = _place(wrong[place])
        change("example_suite", suite)
        change("example_number", number + 1)


def _choice() -> Question:
    suite, number = st.columns([3, 1])
    with suite:
        name = kept(
            st.selectbox, "Suite", list(SUITES), key="example_suite", default=next(iter(SUITES))
        )
    with number:
        place = kept(
            st.number_input,
            "Number",
            key="example_number",
            default=1,
            min_value=1,
            max_value=LARGEST_NUMBER + 1,
            step=1,
        )
    return _question(name, int(place) - 1)


def _draw(session: Session, asked: Question, example: Example | None) -> None:
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.markdown(
            f"**{plain(asked.text)}**"
            if asked.text
            else "**The clip alone, without a word of text**"
        )
        st.markdown(f"A right answer: “{plain(asked.truth)}”")
        listed = "\n".join(f"- {plain(entry)}" for entry in browse.in_the_clip(asked.scene))
        st.markdown(f"In the clip:\n{listed}")
        item = _sound(asked)
    with right:
        said = [*_live(session, asked, item), *(example.said if example else ())]
        for one in said:
            _reply(one)
        if example is None:
            st.caption("No report recorded this example: they hold the first of each suite.")


def _sound(asked: Question) -> Item | None:
    """The clip to hear, once the test speakers have spoken."""
    job = spoken_book.current()
    if job is None:
        st.button(
            "Make the test clips",
            icon=":material/record_voice_over:",
            key="speak_book",
            on_click=spoken_book.begin,
            help="The test speakers say their sentences once; it takes a minute or so and is kept in the cache.",
        )
        return None
    if not job.is_ready:
        _progress()
        return None
    book = job.future.result()
    item = _item(asked.suite, asked.number, book.hash, book)
    st.audio(item.samples, sample_rate=SAMPLE_RATE, alt=f"clip of {asked.suite} {asked.number + 1}")
    st.button(
        "Open it on the other pages",
        icon=":material/open_in_new:",
        key="take_clip",
        on_click=_take,
        args=(asked, item),
        help="The clip becomes the workbench's upload: look at its attention, its modes, its stages.",
    )
    return item


@st.fragment(run_every=0.5)
def _progress() -> None:
    """How far the book is; the page goes on when it is there."""
    job = spoken_book.current()
    error = job.future.exception() if job and job.future.done() else None
    if error:
        tell(error)
        st.caption("Questions, truths and recorded replies can be read and judged without a sound.")
        st.button("Try again", key="speak_again", on_click=spoken_book.begin)
    elif job and not job.future.done():
        st.progress(
            job.done / max(job.total, 1), text=f"The test speakers: {job.done} of {job.total}"
        )
    else:
        st.rerun()


def _take(asked: Question, item: Item) -> None:
    file = BytesIO(wav_bytes(item.samples))
    file.name = f"{asked.suite} {asked.number + 1}.wav"
    state.session().files["upload"] = file
    change("clip_source", "Upload")


def _live(session: Session, asked: Question, item: Item | None) -> list[JudgedReply]:
    """The chosen checkpoint's reply, and on request those of the other shipped ones."""
    if item is None:
        return []
    load = session.ready()
    if load is None:
        panels.model_status(session, key="retry_example")
        return []
    chat = load.future.result()
    said = [_said(asked.suite, asked.number, chat.checkpoint.hash, asked, item, chat)]
    shipped = paths.shipped_checkpoints()
    mine = shipped.get(session.source)
    others = [name for name, place in shipped.items() if name != "mini" and place != mine]
    if others and kept(
        st.toggle, "Ask the other shipped checkpoints too", key="ask_others", default=False
    ):
        said += [found for name in others if (found := _other(name, asked, item))]
    return said


@st.cache_resource(max_entries=256, show_spinner="Listening…")
def _said(
    suite: str, number: int, checkpoint: str, _asked: Question, _item: Item, _chat: "AudioChat"
) -> JudgedReply:
    return browse.ask_live(_asked, _item, _chat.checkpoint, _chat.model)


def _other(name: str, asked: Question, item: Item) -> JudgedReply | None:
    """Another checkpoint's reply; it is loaded for this one and not kept, so that nobody's model has to go."""
    from q2a_core import AudioChat

    try:
        chat = AudioChat.from_pretrained(name)
        return _said(asked.suite, asked.number, chat.checkpoint.hash, asked, item, chat)
    except Q2AError as error:
        st.warning(f"{plain(name)}: {plain(explain(error))}")
        return None


def _reply(said: JudgedReply) -> None:
    """One reply with its verdict."""
    with st.container(border=True):
        when = ":green-badge[live]" if said.live else ":gray-badge[recorded]"
        mark = ":material/check_circle: right" if said.right else ":material/cancel: wrong"
        st.markdown(f"**{plain(said.checkpoint)}** `{said.hash}` {when}")
        st.markdown(f"“{plain(said.reply)}”")
        reasons = "; ".join(said.reasons) or "no reason"
        st.caption(f"{mark}, {said.points:g} of 10 points: {plain(reasons)}")
