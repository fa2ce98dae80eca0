"""The chat about one clip: what was asked, what was answered, how sure the model was, and the box to ask more."""

import time
from contextlib import closing

import streamlit as st

import conversation_state
import model_state
import stand
from clip_state import PickedClip
from conversation_state import Conversation, Turn
from guarded import tell
from model_state import ModelLoad
from panels import model_status
from plain import plain
from q2a_core.confidence import CAVEAT, doubt
from q2a_core.inspection import RecordedReply
from state import Session

HISTORY_HEIGHT = 440
USER, ASSISTANT = ":material/person:", ":material/hearing:"


def chat(session: Session, clip: PickedClip | None, *, split: bool = False) -> None:
    """The conversation; a question asked while the model loads waits for it."""
    stand.stay()
    load = session.load()
    conversation = session.conversation(clip, load) if load and load.is_ready else None
    with st.container(
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="center",
        key="chat_head",
    ):
        model_status(session, key="retry_chat")
        if (
            st.button("New chat", icon=":material/refresh:", key="new_chat", type="tertiary")
            and conversation
        ):
            conversation.restart()
            st.rerun()
    history = st.container(height=HISTORY_HEIGHT, border=True, key="history", autoscroll=True)
    with history:
        beginning = st.empty()
        if conversation:
            for turn in conversation.turns:
                _draw_question(turn)
                with st.chat_message("assistant", avatar=ASSISTANT):
                    _draw_outcome(conversation, turn, clip)
    asked = _ask(clip, conversation, ready=bool(session.source))
    if asked:
        with history:
            _answer(
                session, clip, load or model_state.load_model(session.source), asked, split=split
            )
    elif not (conversation and conversation.turns):
        with beginning.container():
            _draw_beginning(clip)


def _ask(clip: PickedClip | None, conversation: Conversation | None, *, ready: bool) -> Turn | None:
    """The buttons and the box; the turn that one of them began."""
    name = clip.waveform.name if clip else None
    suggestion = clip.sample.ask if clip and clip.sample else None
    speaks_for_itself = bool(clip and clip.sample and not suggestion)
    suggestion = suggestion or "What is this sound?"
    buttons = st.container(horizontal=True, gap="small", key="questions")
    alone = buttons.button(
        "Clip alone",
        icon=":material/graphic_eq:",
        key="alone",
        type="primary" if speaks_for_itself else "secondary",
        disabled=not (clip and ready),
        help="Voice chat: the clip goes to the model without any text.",
    )
    suggested = buttons.button(
        plain(suggestion),
        icon=":material/lightbulb:",
        key="suggested",
        type="secondary" if speaks_for_itself else "primary",
        disabled=not (clip and ready),
        help="A question to try with this clip.",
    )
    text = st.chat_input(
        f"Ask about {name}" if name else "Ask without a clip",
        key="question",
        disabled=not ready,
        submit_mode="stop",
    )
    if alone:
        return Turn(text=None, clip=name)
    if suggested:
        text = suggestion
    if not text:
        return None
    return Turn(text=text, clip=None if conversation and conversation.holds_clip else name)


def _answer(
    session: Session, clip: PickedClip | None, load: ModelLoad, turn: Turn, *, split: bool
) -> None:
    _draw_question(turn)
    with st.chat_message("assistant", avatar=ASSISTANT):
        waiting = st.empty()
        while not load.future.done():
            waiting.caption(
                f"The model is still loading; the question waits for it … {load.seconds:.0f} s"
            )
            time.sleep(0.2)
        waiting.empty()
        if error := load.future.exception():
            tell(error)
            return
        conversation = session.conversation(clip, load)
        waveform = clip.waveform if clip and turn.clip else None
        with closing(conversation.answer(turn, waveform, split=split)) as pieces:
            st.write_stream(plain(piece) for piece in pieces)
        _draw_outcome(conversation, turn, clip, text=False)


def _draw_question(turn: Turn) -> None:
    with st.chat_message("user", avatar=USER):
        if turn.clip:
            alone = "" if turn.text else " alone, without text"
            st.caption(f":material/graphic_eq: {plain(turn.clip)}{alone}")
        if turn.text:
            st.markdown(plain(turn.text))


def _draw_outcome(
    conversation: Conversation, turn: Turn, clip: PickedClip | None, *, text: bool = True
) -> None:
    """What came of a turn: the reply with what it rests on, or why there is none."""
    reply = turn.reply
    if reply and text:
        st.markdown(plain(reply.text))
    if turn.error:
        st.error(plain(turn.error))
    if not reply:
        return
    if not reply.text.strip():
        st.caption("(an empty reply)")
    if turn.is_cut:
        st.caption(":material/content_cut: You went on before this reply had ended.")
    _draw_doubt(reply.confidence)
    known = clip.waveform.notices if clip else ()
    for notice in reply.notices:
        if notice not in known:
            st.caption(f":material/info: {plain(notice)}")
    st.caption(plain(conversation_state.reply_line(conversation, reply)), help=CAVEAT)


def _draw_doubt(confidence: float) -> None:
    if said := doubt(confidence):
        st.warning(f"{said.capitalize()}. {CAVEAT}", icon=":material/help:")


def _draw_beginning(clip: PickedClip | None) -> None:
    """Before the first question: the recorded answer if there is one, and what to do."""
    recorded = clip.trace.reply if clip and clip.trace else None
    if recorded:
        _draw_recorded(recorded)
    elif clip:
        st.caption("Ask something about the clip, or send the clip alone if it speaks for itself.")
    else:
        st.caption("Choose, upload or record a clip; or ask without one.")


def _draw_recorded(reply: RecordedReply) -> None:
    st.badge("recorded", icon=":material/history:", color="gray")
    st.markdown(f"**{plain(reply.question or 'The clip alone')}**")
    st.markdown(plain(reply.text) or "(an empty reply)")
    _draw_doubt(reply.confidence)
    made = f"{reply.checkpoint} {reply.checkpoint_hash} · {reply.decoding}"
    st.caption(plain(f"{made} · confidence {reply.confidence:.0%}"), help=CAVEAT)
    st.caption("Ask it yourself below: the same clip, live.")
