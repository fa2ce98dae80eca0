"""What goes into one turn of a dialogue and what comes out of it."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from q2a_core.inference.sampling import GenerationSettings
from q2a_core.text.chat import Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Timings:
    """How long a reply took."""

    time_to_first_token: float  # seconds from the call, reading the clip included
    tokens_per_second: float  # of the tokens after the first; 0 if there was one only


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A dialogue up to the answer, as the model receives it."""

    messages: list[Message]
    ids: list[int]  # (T,), one placeholder per audio token
    audio_embeds: list[Tensor]  # one (A, D) per clip of the dialogue
    notices: tuple[str, ...]  # what a user should know of this turn's clips


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One answer."""

    text: str
    token_ids: list[int]  # without the stop token
    logps: list[float]  # the model's log-probability of each token
    timings: Timings
    notices: tuple[str, ...]  # what a user should know: resampled, silent, cut at the limit
    prompt: str  # the rendered dialogue up to the answer, one placeholder per clip
    settings: GenerationSettings
    seed: int

    @property
    def confidence(self) -> float:
        """Geometric mean of the tokens' probabilities, 0 to 1."""
        return float(np.exp(np.mean(self.logps))) if self.logps else 0.0
