"""Which weights move in a stage, at what rate, and with what decay."""

import math

import torch
from torch import nn

from q2a_core.model import Qwen2Audio
from q2a_core.training.muon import Muon, Together
from q2a_core.training.objective import Objective
from q2a_core.training.stages import PARTS, StageConfig

Optimizer = torch.optim.Optimizer | Together


def learning_rate(stage: StageConfig, step: int) -> float:
    """Rate of optimizer step `step` (0 is the first): linear warm-up, then a cosine down to `final_rate`.

    A run of few steps warms up in a fifth of them.
    """
    warmup = min(stage.warmup_steps, stage.steps // 5)
    if step < warmup:
        return stage.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(stage.steps - warmup, 1)
    cosine = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    return stage.learning_rate * (stage.final_rate + (1 - stage.final_rate) * cosine)


def freeze(model: Qwen2Audio, stage: StageConfig) -> None:
    """Let move what `stage.trains` names; the encoder's sinusoids never do."""
    for part in PARTS:
        for name, parameter in getattr(model, part).named_parameters():
            parameter.requires_grad_(part in stage.trains and "embed_positions" not in name)


def make_optimizer(objective: Objective, stage: StageConfig, *, precision: str = "no") -> Optimizer:
    """What `stage.optimizer` names, with groups for each rate: matrices, which decay, and the rest, which do not.

    Muon takes the matrices between the layers, and makes its updates orthogonal in the run's precision; vectors,
    embeddings and output heads stay with AdamW.
    """
    factors: dict[str, float] = {**stage.rates}
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            factor = factors.get(name.removeprefix("model.").split(".")[0], 1.0)
            matrix = parameter.ndim >= 2 and "embed" not in name
            orthogonal = matrix and stage.optimizer == "muon" and "head" not in name
            decay = stage.weight_decay if matrix else 0.0
            groups.setdefault((factor, decay, orthogonal), []).append(parameter)
    adamw, muon = (
        [
            {"params": members, "weight_decay": decay, "factor": factor}
            for (factor, decay, orthogonal), members in groups.items()
            if orthogonal is wanted
        ]
        for wanted in (False, True)
    )
    rest = torch.optim.AdamW(adamw, lr=stage.learning_rate, betas=stage.betas, fused=True)
    dtype = torch.bfloat16 if precision == "bf16" else None
    return Together(Muon(muon, dtype=dtype), rest) if muon else rest


def set_rates(optimizer: Optimizer, rate: float) -> None:
    """Give every group `rate` times its part's factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)  # older states hold no factor


def describe(stage: StageConfig, model: Qwen2Audio) -> str:
    """Which parts move in this stage, with their sizes and the rates that differ."""
    parts = []
    for part in PARTS:
        count = sum(p.numel() for p in getattr(model, part).parameters())
        moves = "trains" if part in stage.trains else "frozen"
        if part in stage.trains and part in stage.rates:
            moves += f" at {stage.rates[part]:g} x the rate"
        parts.append(f"{part} {count / 1e6:.2f} M {moves}")
    return f"{stage.name}: {', '.join(parts)} (our choice; the paper does not say)"
