"""A tiny random checkpoint's chat, and two clips of unequal length opened with it."""

import numpy as np
import pytest

from q2a_core.inference import AudioChat
from q2a_core.inspection.case import Case, open_case


def noise(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.3, 0.3, round(seconds * 16_000)).astype(np.float32)


@pytest.fixture(scope="session")
def chat(tiny_checkpoint) -> AudioChat:
    return AudioChat.from_pretrained(tiny_checkpoint)


@pytest.fixture(scope="session")
def case(chat) -> Case:
    """85 encoder frames, an odd number: 42 audio tokens and a frame that the pool drops."""
    return open_case(chat, noise(1.69, 0), "What is this sound?", sample_rate=16_000)


@pytest.fixture(scope="session")
def other(chat) -> Case:
    """A shorter clip, 20 audio tokens."""
    return open_case(chat, noise(0.8, 1), "What is this sound?", sample_rate=16_000)
