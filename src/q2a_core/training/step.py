"""One optimizer step: micro-batches, one gradient, one update."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from q2a_core.errors import RunError
from q2a_core.training.objective import Objective
from q2a_core.training.optimizer import Optimizer
from q2a_core.training.processes import Processes
from q2a_core.training.tally import Tally


def accumulate_gradients(
    objective: Objective,
    batches: Sequence[Any],
    *,
    processes: Processes,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tally | None:
    """Add up the gradients of a step and return its sums and counts; None, and no gradient, if a stop came.

    The counts of all micro-batches of all processes are known before the first one is computed, so each loss is
    divided by what the whole step holds.
    """
    table = [objective.counts(batch) for batch in batches]
    names = list(table[0])
    tokens = sum(objective.tokens(batch) for batch in batches)
    counts = torch.tensor([*(sum(row[name] for row in table) for name in names), tokens])
    counts = processes.total(counts)
    divisor = dict(zip(names, counts.clamp(min=1).to(processes.device), strict=False))
    sums = torch.zeros(len(names), device=processes.device)
    for batch in batches:
        if processes.any(should_stop()):
            objective.zero_grad(set_to_none=True)
            return None
        with processes.accelerator.autocast():
            found = objective(batch.to(processes.device))
        terms = [weight * (found[n] / divisor[n]) for n, weight in objective.weights.items()]
        loss = torch.stack(terms).sum()
        if loss.requires_grad:  # without a clip, what alone trains may have had no part in it
            loss.backward()
        sums += torch.stack([found[name].detach() for name in names])
    processes.total_gradients(p for p in objective.parameters() if p.requires_grad)
    *numbers, tokens = counts.tolist()
    return Tally(
        sums=dict(zip(names, processes.total(sums).tolist(), strict=True)),
        counts=dict(zip(names, numbers, strict=True)),
        tokens=tokens,
    )


def update(
    objective: Objective,
    optimizer: Optimizer,
    losses: Tally,
    *,
    max_grad_norm: float,
    step: int,
) -> None:
    """Clip and apply the gradients; raises RunError, with the weights as they were, if they are not finite."""
    norm = float(torch.nn.utils.clip_grad_norm_(objective.parameters(), max_grad_norm))
    if not math.isfinite(losses["loss"] + norm):
        raise RunError(
            f"the loss became {losses['loss']} and its gradient {norm} at step {step}; "
            "begin a new run with --start and a lower --learning-rate"
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
