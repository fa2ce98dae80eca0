"""How far an audio token reaches: which mel frames move it before the encoder's attention, and which after.

Measured on the model itself, not by arithmetic: gradients of the token's vector with respect to every mel frame. They
are exactly zero where nothing leads from the frame to the token. `lengths.token_receptive_field` says the same of the
convolutions in samples, and a test holds the two together.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from q2a_core import lengths
from q2a_core.inspection.walk import encoder_states
from q2a_core.model import Qwen2Audio

DIRECTIONS = 8
"""Random directions of the token's space along which its change is measured; their mean square stands for all."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reach:
    """How strongly each mel frame moves one audio token, in any unit: only the shares mean something."""

    token: int
    before: np.ndarray  # (F,) through convolutions and pool alone
    after: np.ndarray  # (F,) through the whole encoder


def token_reach(model: Qwen2Audio, mel: Tensor, frames: int, token: int, *, seed: int = 0) -> Reach:
    """The reach of one token of a clip: mel (M, F) as `log_mel` gives it, of which `frames` are the clip's own.

    Raises ValueError for a token that the clip has not.
    """
    count = lengths.audio_tokens(frames)
    if not 0 <= token < count:
        raise ValueError(f"token {token} was asked for; expected 0 to {count - 1}")
    generator = torch.Generator().manual_seed(seed)
    width = model.config.encoder.d_model
    weight = model.audio_encoder.conv1.weight
    directions = torch.randn(DIRECTIONS, width, generator=generator).to(weight)
    with torch.inference_mode(False), torch.enable_grad():
        read = mel.detach().to(weight, copy=True)[None].requires_grad_()
        states = encoder_states(model, read, torch.tensor([frames]))
        sizes = []
        for state in (states[0], states[-1]):
            vector = model.audio_encoder.pool(state)[0, token]
            squares = torch.zeros(frames, device=weight.device)
            for direction in directions:
                [gradient] = torch.autograd.grad(vector @ direction, read, retain_graph=True)
                squares += gradient[0, :, :frames].float().square().sum(0)
            sizes.append((squares / DIRECTIONS).sqrt().cpu().numpy())
    return Reach(token=token, before=sizes[0], after=sizes[1])


def share_within(weights: np.ndarray, places: int) -> np.ndarray:
    """The share of each map (..., P, P) that lies at most `places` places off its diagonal, mean over its rows."""
    rows = np.arange(weights.shape[-1])
    close = np.abs(rows[:, None] - rows) <= places
    return (weights * close).sum(axis=-1).mean(axis=-1)
