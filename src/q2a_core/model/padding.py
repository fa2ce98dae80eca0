"""From an attention mask to what the decoder needs: positions, valid lengths, and the side that is padded."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Padding:
    """Where the valid tokens of a batch lie."""

    positions: Tensor  # (B or 1, T) of the new tokens, counted from each row's first valid one
    lengths: Tensor | None  # (B,) valid keys, cached ones included; None if nothing is padded
    side: str  # "left" or "right"


def read_padding(
    attention_mask: Tensor | None, *, new: int, cached: int, device: torch.device
) -> Padding:
    """Read a (B, cached + new) mask of zeros and ones; None means that every position is valid.

    Raises ValueError for other values, a row with holes, and rows padded on both sides.
    """
    if attention_mask is None:
        positions = torch.arange(cached, cached + new, device=device)[None]
        return Padding(positions=positions, lengths=None, side="right")
    if attention_mask.ndim != 2:
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}; expected (B, {cached + new}), a row a sequence"
        )
    valid = attention_mask.bool()
    if attention_mask.dtype != torch.bool and bool((attention_mask != valid).any()):
        raise ValueError(
            "attention_mask holds other values than 0 and 1; expected 1 where a token counts and 0 where it is "
            "padding, not numbers that are added to scores"
        )
    if valid.shape[1] != cached + new:
        raise ValueError(
            f"attention_mask has {valid.shape[1]} columns; expected {cached + new}, cached ones included"
        )
    if bool(valid.all()):
        return read_padding(None, new=new, cached=cached, device=device)
    if bool((valid[:, 1:] >= valid[:, :-1]).all()):
        side = "left"
    elif bool((valid[:, 1:] <= valid[:, :-1]).all()):
        side = "right"
    else:
        raise ValueError(
            "attention_mask has holes or mixes left and right padding; pad all rows on one side"
        )
    count = valid.long().cumsum(-1)
    return Padding(positions=(count - 1).clamp(min=0)[:, cached:], lengths=count[:, -1], side=side)
