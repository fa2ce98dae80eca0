"""Who may be timed: whoever gives the reference's output and gradients wherever positions are valid."""

import warnings

import torch
from torch import Tensor

from q2a_core.bench.attention_cases import Attend, Shape
from q2a_core.kernels import attention

TOLERANCES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 4e-2}
"""Absolute, on outputs of size one: a few roundings of the type, and sums in another order."""
REFERENCE_WEIGHTS = 2**27
"""The most that the reference holds at once, in numbers, of a sequence's weights."""
COMPARED = ("output", "gradient of q", "gradient of k", "gradient of v")


def disagreement(attend: Attend, inputs: list[Tensor], grad: Tensor, shape: Shape) -> str | None:
    """Why this one is not timed: it cannot run, or it or a gradient is off the reference where positions are valid."""
    with warnings.catch_warnings(record=True) as reasons:
        warnings.simplefilter("always")  # PyTorch gives its reasons as warnings
        try:
            out = attend(*inputs)
            gradients = torch.autograd.grad(out, inputs, grad, allow_unused=True)
        except RuntimeError as error:
            told = [str(reason.message).strip().splitlines()[0] for reason in reasons]
            return "cannot run: " + "; ".join([str(error).splitlines()[0], *told])
    found = [out.detach()]
    for x, gradient in zip(inputs, gradients, strict=True):
        found.append(torch.zeros_like(x) if gradient is None else gradient)
    bound = TOLERANCES[inputs[0].dtype]
    for row, count in enumerate(shape.lengths):
        # some heads at a time: the reference's weights are large
        together = max(1, REFERENCE_WEIGHTS // count**2)
        for head in range(0, shape.heads, together):
            place = (slice(row, row + 1), slice(head, head + together), slice(count))
            part = [x[place].detach().float().requires_grad_() for x in inputs]
            right = attention(*part, is_causal=shape.is_causal, backend="reference")
            expected = [right.detach(), *torch.autograd.grad(right, part, grad[place].float())]
            for name, mine, true in zip(COMPARED, found, expected, strict=True):
                error = float((mine[place].float() - true).abs().max())
                if not error <= bound * max(1.0, float(true.abs().max())):
                    return f"is off the reference: {name} by {error:.1e}; at most {bound:g} of its largest is right"
    return None
