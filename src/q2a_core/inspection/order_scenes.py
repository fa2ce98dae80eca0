"""Pairs of clips that hold the same two sounds in either order: same length, same average spectrum, other meaning.

A probe that reads the average of a clip cannot tell the two apart. What can be told apart further up must have been
worked out on the way.
"""

import numpy as np

from q2a_core.inspection.mode_scenes import ModeClip
from q2a_core.world.render import render
from q2a_core.world.scene import Event, Scene

SECONDS = 1.0
"""Length of each sound that goes on."""
STRENGTH = 0.25
"""How rough the recordings are, as in test scenes of the mini world."""


def order_clips(
    sounds: tuple[str, str],
    *,
    count: int,
    seed: int,
    text: str | None,
) -> list[ModeClip]:
    """`count` clips of two sound classes that go on; label 0 begins with the first class, 1 with the second.

    Both orders of a pair are one group: they share sounds, pause, room and level. The same arguments give the same
    clips.
    """
    clips: list[ModeClip] = []
    for index in range((count + 1) // 2):
        seeds = np.random.default_rng([seed, index, 11]).integers(2**31, size=2)
        events = [
            Event(kind="sound", label=label, seconds=SECONDS, seed=int(own))
            for label, own in zip(sounds, seeds, strict=True)
        ]
        for label, ordered in enumerate((events, events[::-1])):
            scene = Scene(
                kind="sounds",
                split="test",
                seed=seed,
                index=index,
                events=tuple(ordered),
                strength=STRENGTH,
            )
            samples = render(scene, None).samples
            clips.append(ModeClip(samples=samples, text=text, label=label, group=f"pair {index}"))
    return clips[:count]


def mean_mel(clips: list[ModeClip]) -> np.ndarray:
    """The average of each clip's own log-mel frames, (N, M): the baseline that knows no order."""
    from q2a_core import lengths
    from q2a_core.audio.mel import log_mel

    return np.stack(
        [
            log_mel(clip.samples).numpy()[:, : lengths.mel_frames(len(clip.samples))].mean(axis=1)
            for clip in clips
        ]
    )
