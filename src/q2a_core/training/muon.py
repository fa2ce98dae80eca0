"""Muon: momentum made orthogonal, for the weight matrices of small models (K. Jordan and others, 2024).

A matrix's gradient has a few strong directions and many weak ones that matter as much. Muon replaces the momentum by
the nearest matrix whose directions are all equally strong; a quintic Newton-Schulz iteration finds it with products
alone. On this project's mini model it needs fewer clips than AdamW for the same loss.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic x -> a x + b x^3 + c x^5 that pushes singular values towards 1 fastest (source above)."""
ITERATIONS = 5
ADAM_RMS = 0.2
"""Size of a usual AdamW update: with it both optimisers take the same rate (Liu et al. 2025, arXiv 2502.16982)."""


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly orthogonal matrices (N, rows, columns) with the singular vectors of the given ones; values 0.7 to 1.2."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, made orthogonal; convolution kernels count as matrices of (out, in x taps).

    All matrices of one shape are made orthogonal together, in `dtype` or the weights' own: `torch.optim.Muon` always
    rounds to bfloat16, which older processors emulate.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float = 1e-3,
        weight_decay: float = 0.02,
        momentum: float = 0.95,
        dtype: torch.dtype | None = None,
    ):
        self.dtype = dtype
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    shapes.setdefault(weight.shape, []).append(weight)
            for weights in shapes.values():
                self._update(weights, group)

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        beta, rate = group["momentum"], group["lr"]
        wanted = []
        for weight in weights:
            state, gradient = self.state[weight], weight.grad
            assert gradient is not None
            if not state:
                state["momentum"] = torch.zeros_like(weight)
            state["momentum"].lerp_(gradient, 1 - beta)
            wanted.append(gradient.lerp(state["momentum"], beta).flatten(1))
        stacked = torch.stack(wanted)
        updates = orthogonal(stacked.to(self.dtype or stacked.dtype)).to(stacked.dtype)
        size = ADAM_RMS * max(updates.shape[-2:]) ** 0.5
        for weight, update in zip(weights, updates, strict=True):
            weight.mul_(1 - rate * group["weight_decay"])
            weight.add_(update.view_as(weight), alpha=-rate * size)


class Together:
    """Optimizers of different weights that step, save and load as one."""

    def __init__(self, *members: torch.optim.Optimizer):
        self.members = members

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of all members; setting a rate in one sets it where it belongs."""
        return [group for member in self.members for group in member.param_groups]

    def step(self) -> None:
        """Update every weight."""
        for member in self.members:
            member.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for member in self.members:
            member.zero_grad(set_to_none=set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The members' states, in order."""
        return {"members": [member.state_dict() for member in self.members]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        for member, saved in zip(self.members, state["members"], strict=True):
            member.load_state_dict(saved)
