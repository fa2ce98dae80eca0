"""What is kept of one model from reply to reply: its captured prompts, and steps that replies borrow.

To capture takes as long as some tokens do. A reply therefore borrows a step whose memory is long enough, fills that
memory with its prompt, decodes, and gives the step back for the next one; replies at the same time have steps of their
own. All is dropped as soon as the model is not what it was.
"""

import contextlib
import threading
import weakref
from collections.abc import Iterator

from q2a_core.model.fast_paths.cuda_graph import is_capturable
from q2a_core.model.fast_paths.graph_prompt import GraphPrompt
from q2a_core.model.fast_paths.graph_step import GraphStep
from q2a_core.model.fast_paths.plain import Fingerprint, fingerprint, is_plain
from q2a_core.model.qwen2_audio import Qwen2Audio

ROOM = 256
"""Steps have memory for a multiple of this many positions, so that replies of any length find one that fits."""
IDLE = 2
"""How many steps wait for a reply: each holds its memory, a quarter of a gigabyte for 512 positions of the 7B."""


class KeptGraphs:
    """One model's captured prompts and steps. Several threads may use it; off a GPU the same runs uncaptured."""

    def __init__(self, model: Qwen2Audio, state: Fingerprint):
        self.model = weakref.proxy(model)  # the model is the key under which this is kept
        self.state = state
        self.prompt = GraphPrompt(model)
        self.idle: list[GraphStep] = []
        self.lock = threading.Lock()

    @contextlib.contextmanager
    def step(self, length: int) -> Iterator[GraphStep]:
        """A step of one row with room for `length` positions, for one reply alone; `GraphStep.begin` empties it."""
        room = -(-length // ROOM) * ROOM
        if room > self.model.config.decoder.max_positions:
            room = length  # no more than the model can count, if the reply does not ask for it
        with self.lock:
            fits = [step for step in self.idle if step.fixed.max_length == room]
            step = fits[-1] if fits else None
            if step is not None:
                self.idle.remove(step)
        if step is None:
            step = GraphStep(self.model.decoder, self.model.new_cache(1, room))
        try:
            yield step
        finally:
            with self.lock:
                self.idle.append(step)
                del self.idle[:-IDLE]


_KEPT: "weakref.WeakKeyDictionary[Qwen2Audio, KeptGraphs]" = weakref.WeakKeyDictionary()
_KEEPING = threading.Lock()


def graphs_of(model: Qwen2Audio) -> KeptGraphs | None:
    """What is captured of `model`; None where it may not be, because of where it lies or of what was done to it."""
    if not is_capturable(model):  # asked first: it is over at once where there is no GPU
        if model in _KEPT and model.decoder.embed_tokens.weight.device.type != "cuda":
            forget_graphs(model)
        return None
    state = fingerprint(model)
    if state is None:
        return None
    with _KEEPING:
        kept = _KEPT.get(model)
    if kept is not None and kept.state.is_of(state):
        return kept
    if not (is_plain(model.decoder) and is_plain(model.audio_encoder)):
        return None
    with _KEEPING:
        kept = _KEPT.get(model)
        if kept is None or not kept.state.is_of(state):
            kept = _KEPT[model] = KeptGraphs(model, state)
    return kept


def forget_graphs(model: Qwen2Audio) -> None:
    """Give back the memory of the model's captured prompts and steps."""
    with _KEEPING:
        _KEPT.pop(model, None)
