"""The one entry point to attention: `attention(q, k, v, ...)` on a backend chosen by name.

    reference   the formula in fp32 (attention_reference.py)
    sdpa        torch.nn.functional.scaled_dot_product_attention
    triton      flash attention of our own, forward (attention_triton.py) and backward (attention_backward_triton.py),
                and for a single query the kernel that splits the cache (attention_decode_triton.py)
    auto        triton on a GPU that has it, for head widths, types and sizes that it takes; else sdpa. GPUs before
                Ampere (a T4) get sdpa: Triton's products do not reach their tensor cores

All backends take the same layout, mask and alignment, said once in attention_reference.py.
"""

import functools
import importlib.util

import torch
import torch.nn.functional as F
from torch import Tensor

from q2a_core.errors import BackendError
from q2a_core.kernels.attention_inputs import (
    TRITON_ROWS,
    TRITON_TYPES,
    TRITON_WIDTHS,
    as_number,
    check_inputs,
    positive_scale,
)
from q2a_core.kernels.attention_reference import (
    attention_mask,
    attention_reference,
    padded_queries,
    repeat_kv,
    without_padding,
)

BACKENDS = ("auto", "reference", "sdpa", "triton")


def resolve_backend(
    name: str,
    device: torch.device | str = "cpu",
    head_dim: int = TRITON_WIDTHS[0],
    dtype: torch.dtype = torch.float32,
    rows: int = 1,
) -> str:
    """The backend that `name` runs on for tensors on `device`; `rows` are sequences times query heads.

    Raises BackendError for an unknown name, and for triton where it is not installed.
    """
    if name not in BACKENDS:
        raise BackendError(
            f"no attention backend is called {name!r}; expected one of {', '.join(BACKENDS)}"
        )
    if name == "triton" and not triton_is_installed():
        raise BackendError(
            "Triton is not installed; on Linux `pip install triton` brings it, or choose the backend sdpa"
        )
    if name != "auto":
        return name
    device = torch.device(device)
    if device.type != "cuda" or not triton_is_installed() or not _suits_triton(device):
        return "sdpa"
    fits = TRITON_WIDTHS[0] <= head_dim <= TRITON_WIDTHS[1] and rows <= TRITON_ROWS
    return "triton" if fits and dtype in TRITON_TYPES else "sdpa"


@functools.cache
def _suits_triton(device: torch.device) -> bool:
    """Whether Triton compiles products for the tensor cores of this GPU."""
    return bool(torch.version.hip) or torch.cuda.get_device_capability(device) >= (8, 0)


@functools.cache
def triton_is_installed() -> bool:
    """Asked once: the search for a module costs more than the attention of a short clip."""
    return importlib.util.find_spec("triton") is not None


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    is_causal: bool = False,
    lengths: Tensor | None = None,
    scale: float | None = None,
    backend: str = "auto",
    *,
    padding_side: str = "right",
) -> Tensor:
    """Multi-head attention, grouped-query if k and v have fewer heads.

    Shapes: q (B, H, Tq, Dh), k and v (B, Hkv, Tk, Dh) -> (B, H, Tq, Dh). `lengths` (B,) counts each sequence's valid
    keys, the last ones with `padding_side="left"`. Causal alignment is bottom-right. `scale` defaults to Dh ** -0.5.
    What padding holds never matters. Lengths below zero or above Tk are refused where they lie on a CPU; on a GPU,
    where reading them would wait, they count as zero or Tk. Raises BackendError for an unknown backend and ValueError
    for shapes, types or lengths that do not fit.
    """
    check_inputs(q, k, v, lengths, padding_side)
    scale = as_number(scale)
    resolved = resolve_backend(backend, q.device, q.shape[-1], q.dtype, q.shape[0] * q.shape[1])
    if resolved == "reference":
        return attention_reference(q, k, v, is_causal, lengths, scale, padding_side=padding_side)
    if resolved == "triton":
        with torch.cuda.device_of(q):  # Triton starts kernels on the current device
            return _attention_triton(q, k, v, is_causal, lengths, scale, padding_side)
    return _attention_sdpa(q, k, v, is_causal, lengths, scale, padding_side)


def _attention_triton(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    is_causal: bool,
    lengths: Tensor | None,
    scale: float | None,
    padding_side: str,
) -> Tensor:
    if q.shape[2] == 1 and k.shape[2] > 1 and not learns(q, k, v):
        from q2a_core.kernels.attention_decode_triton import decode_triton

        return decode_triton(q, k, v, lengths, scale, padding_side=padding_side)
    from q2a_core.kernels.attention_triton import attention_triton

    return attention_triton(q, k, v, is_causal, lengths, scale, padding_side=padding_side)[0]


def _attention_sdpa(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    is_causal: bool,
    lengths: Tensor | None,
    scale: float | None,
    padding_side: str,
) -> Tensor:
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and learns(q, k, v):
        # the backward of PyTorch's CPU kernel takes three times as long in bfloat16 as in fp32
        rules = (is_causal, lengths, scale, padding_side)
        with torch.autocast("cpu", enabled=False):
            return _attention_sdpa(q.float(), k.float(), v.float(), *rules).to(q.dtype)
    padded = padded_queries(q, k, lengths, padding_side)
    if padded is not None and learns(q, k, v):
        # their output is zeroed, but not what the backward pass reads
        q = q.masked_fill(padded, 0.0)
    if q.shape[2] == 1 and q.shape[1] != k.shape[1]:
        # heads that share keys stand in as positions, so that no key is copied; one that is padding has no key
        grouped = q.reshape(q.shape[0], k.shape[1], -1, q.shape[3])  # (B, Hkv, H / Hkv, Dh)
        return _masked_sdpa(grouped, k, v, False, lengths, scale, padding_side).reshape(q.shape)
    return _masked_sdpa(q, k, v, is_causal, lengths, scale, padding_side, padded)


def _masked_sdpa(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    is_causal: bool,
    lengths: Tensor | None,
    scale: float | None,
    padding_side: str,
    padded: Tensor | None = None,
) -> Tensor:
    """SDPA with our mask; `padded` (B, 1, Tq, 1) marks queries that are padding and give zeros."""
    k, v = (repeat_kv(without_padding(x, lengths, padding_side), q.shape[1]) for x in (k, v))
    if lengths is None and is_causal and q.shape[2] == k.shape[2]:
        # PyTorch's kernels scale the minus infinity of what is masked: a sign or a zero would undo the mask
        q, scale = positive_scale(q, scale)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    mask = attention_mask(q, k, is_causal=is_causal, lengths=lengths, padding_side=padding_side)
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v, scale=scale)
    # SDPA's kernels differ on a query without any key (zero or NaN): let it attend to all, then write the zeros.
    empty = ~mask.any(-1, keepdim=True)  # (B, 1, Tq or 1, 1)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | empty, scale=scale)
    return out.masked_fill(empty if padded is None else empty | padded, 0.0)


def learns(*tensors: Tensor) -> bool:
    """Whether somebody may want the gradient of what these tensors give."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
