"""Parts that every page draws: the player, the choice of a checkpoint, what it knows, and whether it is there."""

import json

import streamlit as st
from streamlit.components.v2 import component

import address
import clip_state
import model_state
import stand
import state
from clip_state import PickedClip
from guarded import tell
from model_state import ModelLoad
from plain import plain
from q2a_core import paths
from q2a_core.confidence import CAVEAT
from q2a_core.inspection.player import SKELETON, player_css, player_data, player_js
from settings import kept
from state import Session
from theme import ON_ACCENT

OTHER = "a directory or hub id…"
MOUNT = """
export default function ({ data, parentElement, setStateValue }) {
  const clip = JSON.parse(new TextDecoder().decode(data));
  const player = mountPlayer(parentElement.querySelector(".q2a-player"), clip);
  player.onToken = (token) => setStateValue("token", token);
  return () => player.dispose();
}
"""
mount_player = component(
    "q2a_player", html=SKELETON, css=player_css() + ON_ACCENT, js=player_js() + MOUNT
)


def player(clip: PickedClip, *, token: int | None = None) -> None:
    """The clip to hear and to see; audio token `token` is chosen when it appears.

    A token that is clicked becomes `Session.spot.token`.
    """
    view = clip_state.clip_view(clip)
    data = player_data(view, clip.waveform.samples, name=clip.waveform.name, token=token)
    # as bytes: a dict would make Streamlit import pandas to look for tables in it, before the first picture
    _mount_player(json.dumps(data).encode())


@st.fragment
def _mount_player(data: bytes) -> None:
    mount_player(data=data, key="player", on_token_change=_choose_token)


def _choose_token() -> None:
    session = state.session()
    session.spot.token = st.session_state.player.get("token")
    address.write_token(session)


def checkpoint_choice(session: Session) -> None:
    """Any shipped checkpoint, a directory, or a hub id."""
    shipped = list(paths.shipped_checkpoints())
    options = shipped if stand.is_public() and shipped else [*shipped, OTHER]
    first = session.source if session.source in options else options[0]
    choice = kept(st.selectbox, "Checkpoint", options, key="checkpoint", default=first)
    if choice != OTHER:
        session.source = choice
        return
    path = kept(
        st.text_input,
        "Directory or hub id",
        key="checkpoint_path",
        default="",
        placeholder="Qwen/Qwen2-Audio-7B-Instruct",
    )
    session.source = path.strip()
    if not session.source:
        st.caption(
            "Give a directory with a Qwen2-Audio checkpoint, or a hub id. It runs on the CPU: the 7B takes about 17 GB "
            "of memory, and its time."
        )


def what_can_i_say(session: Session) -> None:
    """The words, the sounds and lines to try of the chosen checkpoint."""
    about = model_state.about(session.source)
    st.header("What can I say?")
    if not about:
        st.caption("This checkpoint does not say what it was trained on.")
        return
    longest = about.get("trained_seconds")
    alone = ", one to a dialogue" if about.get("trained_clips") == 1 else ""
    st.caption(
        f"Trained on {plain(str(about.get('trained_on') or 'synthetic voices'))}: real voices are harder for it."
        + (
            f" It knows clips of up to {longest:g} s{alone}."
            if isinstance(longest, (int, float))
            else ""
        )
        + f" {CAVEAT}"
    )
    for title, key in (("Lines to try", "try"), ("Sounds", "sounds"), ("Words", "words")):
        listed = about.get(key)
        entries = [plain(str(entry)) for entry in listed] if isinstance(listed, list) else []
        if entries:
            with st.expander(f"{title} ({len(entries)})", expanded=key == "try"):
                as_list = "\n".join(f"- {entry}" for entry in entries)
                st.markdown(as_list if key == "try" else ", ".join(entries))


def model_status(session: Session, *, key: str = "retry") -> None:
    """A line that says where the model is; until it knows, it looks again every second.

    `key` is that of the button to try again. The line draws what one look finds: to look twice would be to run the page
    again for a model that arrives in between, and a question that was just asked would be lost with that run. It is a
    fragment in the end too: the browser may still ask for one more look.
    """
    load = session.load()
    is_known = bool(not session.source or (load and load.future.done()))
    looked = False

    @st.fragment(run_every=None if is_known else 1.0)
    def watch() -> None:
        nonlocal looked
        if is_known:
            _draw_status(session, load, key)
            return
        # the browser asks for this part again once it has drawn the page; the frame counts runs itself
        session.has_painted |= looked or session.visit is None
        now = session.load() if looked else load
        if looked and now and now.future.done():
            st.rerun()
        looked = True
        _draw_loading(session, now)

    watch()


def _draw_loading(session: Session, load: ModelLoad | None) -> None:
    since = f" … {load.seconds:.0f} s" if load else ""
    st.caption(f":material/hourglass_top: loading **{plain(session.source)}**{since}")


def _draw_status(session: Session, load: ModelLoad | None, key: str) -> None:
    if not session.source or load is None:
        st.caption(":material/hourglass_empty: no checkpoint chosen")
    elif error := load.future.exception():
        tell(error)
        if st.button("Try again", key=key):
            model_state.forget_model(load)
            st.rerun()
    else:
        checkpoint = load.future.result().checkpoint
        st.caption(
            f":material/check_circle: **{plain(checkpoint.name)}** `{checkpoint.hash}` is ready"
        )
