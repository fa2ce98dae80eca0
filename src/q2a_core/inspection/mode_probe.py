"""The mode probe: from which layer on can one read off the last prompt position which mode the model is in?

    clips -> prompts -> states (L + 1, N, D) at the position that decides the first token -> one probe a layer

What can be read off need not be used: `steering` pushes the states along what was found and looks at the replies.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from q2a_core import lengths
from q2a_core.inspection.linear_probe import LayerProbe, probe_layer
from q2a_core.inspection.mode_scenes import ModeClip, ModeTask, mode_clips
from q2a_core.progress import OnProgress, unheard

if TYPE_CHECKING:
    from q2a_core.audio import Waveform
    from q2a_core.inference import AudioChat, Prompt
    from q2a_core.world.speech import UtteranceBook

BATCH_SIZE = 16


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModeProbe:
    """Probes of every layer of one checkpoint on one task."""

    task: ModeTask
    layers: tuple[LayerProbe, ...]
    """State 0, the embedding, then the output of each block."""
    examples: int
    seed: int
    checkpoint: str
    checkpoint_hash: str
    seconds: float
    """How long making the clips, capturing and fitting took."""
    has_speech: bool
    """Whether anybody speaks in its clips."""

    @property
    def best(self) -> LayerProbe:
        """The earliest of the layers with the highest held-out accuracy."""
        return max(self.layers, key=lambda probe: probe.accuracy.value)


def mode_probe(
    chat: "AudioChat",
    task: ModeTask,
    *,
    examples: int = 240,
    seed: int = 0,
    book: "UtteranceBook | None",
    on_progress: OnProgress = unheard,
) -> ModeProbe:
    """Make clips, capture their states in `chat`'s model and probe each layer; the same arguments give the same probe.

    `on_progress(done, total)` counts two steps an example: made, and captured.
    """
    start = time.perf_counter()

    def made(done: int, total: int) -> None:
        on_progress(done, 2 * total)

    def captured(done: int, total: int) -> None:
        on_progress(total + done, 2 * total)

    clips = mode_clips(task, count=examples, seed=seed, book=book, on_progress=made)
    states = capture_states(chat, clips, on_progress=captured)
    return ModeProbe(
        task=task,
        layers=probe_layers(states, clips, seed=seed),
        examples=len(clips),
        seed=seed,
        checkpoint=chat.checkpoint.name,
        checkpoint_hash=chat.checkpoint.hash,
        seconds=time.perf_counter() - start,
        has_speech=book is not None,
    )


def prompt_of(chat: "AudioChat", clip: ModeClip) -> "Prompt":
    """An example as the model receives it, as a first turn."""
    return chat.fork().prompt(clip.samples, clip.text, sample_rate=lengths.SAMPLE_RATE)


def turn_readings(
    chat: "AudioChat", probe: ModeProbe, waveform: "Waveform", text: str | None, *, split: bool
) -> np.ndarray:
    """Where one turn lies along each layer's probe, (L + 1,): -1 as class 0 does on average, 1 as class 1 does."""
    from q2a_core.inspection.model_view import last_states

    prompt = chat.fork().prompt(waveform, text, split="window" if split else None)
    states = last_states(chat.model, [prompt])[:, 0].numpy().astype(np.float64)
    return np.array(
        [layer.reading(state) for layer, state in zip(probe.layers, states, strict=True)]
    )


def capture_states(
    chat: "AudioChat", clips: Sequence[ModeClip], *, on_progress: OnProgress = unheard
) -> np.ndarray:
    """Residual states (L + 1, N, D) at the last prompt position, float32; `on_progress` counts examples."""
    from q2a_core.inspection.model_view import last_states

    parts = []
    for start in range(0, len(clips), BATCH_SIZE):
        prompts = [prompt_of(chat, clip) for clip in clips[start : start + BATCH_SIZE]]
        parts.append(last_states(chat.model, prompts).numpy())
        on_progress(start + len(prompts), len(clips))
    return np.concatenate(parts, axis=1)


def probe_layers(
    states: np.ndarray, clips: Sequence[ModeClip], *, seed: int
) -> tuple[LayerProbe, ...]:
    """A probe a layer for states (L + 1, N, D); every layer has the same folds and the same shuffles."""
    labels = np.array([clip.label for clip in clips])
    groups = np.array([clip.group for clip in clips])
    return tuple(
        probe_layer(layer, labels, groups, layer=number, rng=np.random.default_rng([seed, 31]))
        for number, layer in enumerate(states)
    )
