"""Four ways to ask about one clip, and whether the reply rests on it."""

from typing import Any

import numpy as np
import streamlit as st

import clip_state
import files
import modes_state
from clip_state import PickedClip
from explain import explain
from frame import PageText
from guarded import told
from model_state import ModelLoad
from modes_html import listening_html, tokens_html
from modes_state import ModesSettings
from plain import plain
from q2a_core.audio import Waveform, wav_bytes
from q2a_core.confidence import doubt
from q2a_core.inspection import read_gallery
from q2a_core.inspection.modes import QUESTION_VOICES, ModeReply, ModeTurn, mode_turns
from q2a_core.inspection.wording import rounded, signed

ORDERS = ("after the clip", "before the clip")
RECORD = "my own"
TEXT = PageText(
    see="""One clip given to one model in four ways. No switch and no system prompt names the mode: the model has
to notice whether it is spoken to, asked in writing, or both. Under each token stands its probability; the more orange,
the more surprised the model was by its own choice.""",
    attempt="""A clip in which somebody speaks: alone it is taken as talk to the assistant, with a text it is something
to be examined. Then put the question into the sound instead, and write a line beside it that contradicts it.""",
    why="""Both modes were trained together on the same weights (arXiv 2407.10759, section 2). The clip's tokens
and the text meet in the decoder only.""",
    limits="""A mini model knows the modes that its world had. Probabilities say how sure it is, not
whether it is right.""",
)
TEACH_METER = """
**What you see.** The reply above, scored again token by token with something else in the place of the clip. If silence,
noise or another clip explain it as well, the model was not listening but guessing.

**Try this.** Compare the words that carry the answer with those around them: "This is the sound of a" needs no ears.
Choose another clip with the same answer. Score a reply about a clip of silence.

**Limits.** The best of the other conditions is what counts, and there may be better ones than these. A gain says that
the clip mattered, not that the reply is right.
"""


def settings_row(settings: ModesSettings) -> tuple[Waveform | None, str | None]:
    """The knobs of the four modes; the question to be heard, or why there is none."""
    left, middle, right = st.columns(3)
    widget = settings.widget
    widget(left.text_input, "Written question", "text", max_chars=200)
    widget(right.text_input, "Written beside the spoken question", "mixed", max_chars=200)
    widget(middle.text_input, "Spoken question", "words", max_chars=120)
    with middle.container(horizontal=True):
        widget(st.selectbox, "Voice", "voice", [*QUESTION_VOICES, RECORD])
        widget(st.selectbox, "Where", "order", ORDERS)
    try:
        if settings.voice == RECORD:
            with right:
                file = files.given(st.audio_input, "Ask it yourself", key="modes_recording")
                if file:
                    files.in_use("modes_recording", "your question")
            return (modes_state.recorded(file) if file else None), "Record a question first."
        return modes_state.spoken(settings.words, settings.voice), None
    except Exception as error:
        return None, explain(error)


def replies(
    settings: ModesSettings, clip: PickedClip, load: ModelLoad, *, split: bool
) -> dict[str, ModeReply]:
    """Four replies side by side; those that could be given, by mode."""
    question, missing = settings_row(settings)
    turns = mode_turns(
        clip.waveform,
        text=settings.text or "What is this sound?",
        question=question,
        mixed_text=settings.mixed or modes_state.MIXED_TEXT,
        question_first=settings.order == ORDERS[1],
    )
    answered = {}
    for column, turn in zip(st.columns(4), turns, strict=False):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{turn.name.capitalize()}**")
            st.caption(turn.given + (f": “{plain(turn.text)}”" if turn.text else ""))
            with told():
                answered[turn.name] = _answer(settings, clip, load, turn, split=split)
                _draw_reply(answered[turn.name], clip)
    if question is None and missing:
        st.info(plain(missing), icon=":material/mic:")
    return answered


def _answer(
    settings: ModesSettings, clip: PickedClip, load: ModelLoad, turn: ModeTurn, *, split: bool
) -> ModeReply:
    from q2a_core.inspection.modes import answer_turn

    key = (*turn_key(clip, load, turn), split)
    return settings.results.once(key, lambda: answer_turn(load.future.result(), turn, split=split))


def turn_key(clip: PickedClip, load: ModelLoad, turn: ModeTurn) -> tuple[Any, ...]:
    """What a turn's results depend on: clip, prompt, checkpoint."""
    asked = turn.question and hash(turn.question.samples.tobytes())
    return clip.key, load.source, load.stamp, turn.name, turn.text, asked, turn.question_first


def _draw_reply(done: ModeReply, clip: PickedClip) -> None:
    if done.turn.question is not None:
        heard = wav_bytes(done.turn.waveform.samples)
        st.audio(heard, format="audio/wav", alt=f"what the model hears in {done.turn.name}")
    st.html(tokens_html(done.pieces, done.reply.logps, label=f"reply in {done.turn.name}"))
    guess = " · may be a guess" if doubt(done.reply.confidence) else ""
    st.caption(f"confidence {done.reply.confidence:.0%}{guess}")
    for notice in done.reply.notices:
        if notice not in clip.waveform.notices:
            st.caption(f":material/info: {plain(notice)}")


def meter(
    settings: ModesSettings,
    clip: PickedClip,
    load: ModelLoad,
    answered: dict[str, ModeReply],
    *,
    split: bool,
) -> None:
    """One of the replies, scored under the clip and without it."""
    if not answered:
        st.caption("Once there is a reply, it is scored here with and without the clip.")
        return
    modes = list(answered)
    settings.widget(st.segmented_control, "Which reply", "scored", modes, required=True)
    others = {s.name: s for s in read_gallery() if s.path.name != clip.waveform.name}
    if others:
        settings.widget(
            st.selectbox,
            "Another clip",
            "other",
            list(others),
            format_func=lambda name: others[name].label,
        )
    done = answered[settings.scored]
    other = clip_state.sample_clip(others[settings.other]) if others and settings.other else None
    key = ("meter", turn_key(clip, load, done.turn), other.key if other else None, split)
    listening = settings.results.once(
        key, lambda: _score(load, done, other.waveform if other else None, split=split)
    )
    if not listening.pieces:
        st.caption("The reply is empty: there is nothing to score.")
        return
    st.html(listening_html(listening))
    rival, gain = listening.rival, listening.gain
    best = max(range(len(listening.pieces)), key=lambda place: listening.token_gains[place])
    where = (
        f" It helps most at “{plain(listening.pieces[best].strip())}” "
        f"(by {listening.token_gains[best]:.2f})."
    )
    verdict = "listening" if gain > 0.1 else "no sign of listening"
    icon = ":material/hearing:" if gain > 0.1 else ":material/hearing_disabled:"
    st.markdown(
        f"{icon} **{verdict}**: with the clip a token is {signed(gain)} nats likelier than with the best other "
        f"condition, {rival.condition} ({rounded(rival.mean)})." + (where if gain > 0.1 else "")
    )
    st.caption(
        plain(
            f"{load.future.result().checkpoint.name} {load.future.result().checkpoint.hash} · teacher-forced, no "
            "penalty, no temperature · noise seed 0 · a spoken question stays where silence, noise or another clip "
            "take the clip's place"
        )
    )


def _score(load: ModelLoad, done: ModeReply, other: Waveform | None, *, split: bool) -> Any:
    from q2a_core.inspection.listening import is_listening

    turn = done.turn
    return is_listening(
        load.future.result(),
        turn.clip,
        turn.text,
        done.reply.token_ids,
        other=other,
        rng=np.random.default_rng(0),
        split=split,
        around=turn.around if turn.question is not None else None,
    )
