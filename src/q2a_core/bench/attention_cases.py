"""Which attention is timed: the shapes that this model has, and everybody who can compute them here."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from q2a_core.kernels import attention, attention_mask

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]

SDPA_BACKENDS = {
    "sdpa flash": SDPBackend.FLASH_ATTENTION,
    "sdpa cudnn": SDPBackend.CUDNN_ATTENTION,
    "sdpa memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "sdpa math": SDPBackend.MATH,
}
"""PyTorch's own, by what the table calls them; each runs where the machine has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """One attention of the model: self-attention over `length` positions."""

    name: str
    """encoder, decoder, wide or mini."""
    batch: int
    heads: int
    width: int
    """Of a head."""
    length: int
    is_causal: bool = False
    shares: tuple[float, ...] = ()
    """Each sequence's length as a share of the longest; empty where all are equal."""

    @property
    def lengths(self) -> list[int]:
        """Valid positions of each sequence."""
        shares = self.shares or (1.0,) * self.batch
        return [max(1, round(share * self.length)) for share in shares]

    @property
    def flops(self) -> float:
        """Of the two matrix products over what is valid; half of them under a causal mask."""
        pairs = sum(length * length for length in self.lengths)
        return 4.0 * pairs * self.heads * self.width * (0.5 if self.is_causal else 1.0)

    @property
    def what(self) -> str:
        """In words."""
        kind = "causal" if self.is_causal else "bidirectional"
        ragged = ", 10-100 % long" if self.shares else ""
        return f"{self.name}: {self.batch} x {self.heads} heads of {self.width}, {self.length} {kind}{ragged}"


RAGGED = (1.0, 0.1, 0.4, 0.7, 0.25, 0.55, 0.85, 0.15)


def shapes(*, on_gpu: bool) -> list[Shape]:
    """The published encoder and decoder, ragged and whole, and the mini model; smaller where there is no GPU."""
    batch = 8 if on_gpu else 1
    found = [
        *(
            Shape(name="mini encoder", batch=8, heads=5, width=32, length=length)
            for length in (75, 150)
        ),
        Shape(name="mini decoder", batch=8, heads=4, width=32, length=128, is_causal=True),
        *(
            Shape(name="encoder", batch=batch, heads=20, width=64, length=length)
            for length in ((75, 375, 750, 1500) if on_gpu else (75, 375))
        ),
        Shape(
            name="encoder",
            batch=len(RAGGED),
            heads=20 if on_gpu else 5,
            width=64 if on_gpu else 32,
            length=1500 if on_gpu else 375,
            shares=RAGGED,
        ),
    ]
    for length in (128, 1024, 2048, 4096, 8192) if on_gpu else (128, 512):
        rows = max(1, 8192 // length) if on_gpu else 1
        found.append(
            Shape(name="decoder", batch=rows, heads=32, width=128, length=length, is_causal=True)
        )
    if on_gpu:  # what the published figures of other implementations are of
        found.append(Shape(name="wide", batch=2, heads=32, width=128, length=4096))
    return found


def tensors(shape: Shape, *, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """Queries, keys, values that learn, and the gradient of the output (B, H, T, Dh)."""
    rng = torch.Generator(device).manual_seed(0)
    size = (shape.batch, shape.heads, shape.length, shape.width)
    drawn = [torch.randn(size, generator=rng, device=device, dtype=dtype) for _ in range(4)]
    return [*(x.requires_grad_() for x in drawn[:3]), drawn[3]]


def ours(shape: Shape, backend: str, device: torch.device) -> Attend:
    """One of our backends on the shape."""
    lengths = torch.tensor(shape.lengths, device=device) if shape.shares else None
    return lambda q, k, v: attention(
        q, k, v, is_causal=shape.is_causal, lengths=lengths, backend=backend
    )


def theirs(shape: Shape, backend: SDPBackend | None, device: torch.device) -> Attend:
    """PyTorch's attention; ragged batches go through a mask, as its users do. None lets PyTorch choose."""
    lengths = torch.tensor(shape.lengths, device=device) if shape.shares else None

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mask = None
        if lengths is not None:
            mask = attention_mask(q, k, is_causal=shape.is_causal, lengths=lengths)
        with nullcontext() if backend is None else sdpa_kernel(backend):
            return F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=shape.is_causal and mask is None
            )

    return attend
