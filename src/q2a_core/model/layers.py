"""Small parts: RMSNorm, rotary positions and SwiGLU as in transformers' Qwen2, and tables of vectors."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / rms(x) * weight, the mean square in fp32 (Zhang and Sennrich 2019)."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return self.weight * F.rms_norm(x.float(), self.weight.shape, None, self.eps).to(x.dtype)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)), no biases (Shazeer 2020)."""

    def __init__(self, d_model: int, d_ff: int):
        super().__init__()
        self.gate_proj = nn.Linear(d_model, d_ff, bias=False)
        self.up_proj = nn.Linear(d_model, d_ff, bias=False)
        self.down_proj = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


def vector_table(rows: int, width: int) -> nn.Embedding:
    """An embedding, drawn as usual, but for the meta device: to draw nothing there PyTorch would import its compiler.

    That takes longer than opening and running the mini model.
    """
    if torch.get_default_device().type == "meta":
        return nn.Embedding.from_pretrained(torch.empty(rows, width), freeze=False)
    return nn.Embedding(rows, width)


@lru_cache(maxsize=8)
def rotary_table(
    length: int, head_dim: int, theta: float, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines (length, Dh) for positions 0, 1, ..., computed in fp32 (Su et al. 2021).

    The sine of a pair's first channel carries the minus sign of the rotation. Tables are kept: a decoding step would
    otherwise spend more on them than on its matrix products.
    """
    with torch.inference_mode(False):  # a table made while generating must serve training too
        channel = torch.arange(0, head_dim, 2, device=device, dtype=torch.float32)
        frequency = 1.0 / (theta ** (channel / head_dim))
        angle = torch.arange(length, device=device)[:, None].float() * frequency  # (length, Dh/2)
        cos, sin = angle.cos(), angle.sin()
        return torch.cat([cos, cos], dim=-1).to(dtype), torch.cat([-sin, sin], dim=-1).to(dtype)


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn channel pairs (i, i + Dh/2) of x (..., Dh) by their position's angle."""
    swapped = x.roll(x.shape[-1] // 2, dims=-1)
    return torch.addcmul(x * cos, swapped, sin)
