"""Attention as maps of 40 ms tokens: what each place of the encoder reads, and what each word of the reply reads.

Weights are computed from queries and keys by `kernels.attention_map`, one layer at a time, so that nothing grows with
the square of the encoder frames. Numbers are NumPy fp32; pictures are uint8 with the value that 255 stands for.

Attention says where a head looks. Whether the answer needs what lies there is another question: `edits.py` asks it.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from q2a_core import lengths
from q2a_core.inspection.case import Case
from q2a_core.inspection.walk import decoder_queries_keys, encoder_queries_keys
from q2a_core.kernels.attention_map import attention_map

GAMMA = 0.5
"""Brightness is weight to this power: most weights are small, and a picture of the weights themselves is black."""
THUMBNAIL = 48
"""Most rows and columns of a small picture."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReplyAttention:
    """What the reply reads in one decoder layer; row r is the place that chose reply token r, the one before it."""

    audio: np.ndarray  # (H, R, A) weight on each audio token
    # (H, R, 3) weight on all audio tokens, on the prompt's text, on the reply so far
    share: np.ndarray
    even_share: np.ndarray  # (R,) audio share of a head that reads every place alike


@torch.inference_mode()
def encoder_maps(case: Case, layer: int, *, heads: list[int] | None = None) -> np.ndarray:
    """What the encoder's tokens read in block `layer`: (heads, P, P), each row adds up to one.

    P is ceil(E / 2): where a clip has an odd number of encoder frames, the last row and column are the frame that the
    pool drops. A pooled row is the mean of its two frames' rows, a pooled column the sum of its two frames.
    """
    q, k = encoder_queries_keys(case.model, case.encoder_states, layer)
    weights = attention_map(
        q, k, heads=heads, pool=lengths.POOL_STRIDE, backend=case.model.audio_encoder.backend
    )
    return weights[0].cpu().numpy()


@torch.inference_mode()
def reply_attention(case: Case, layer: int) -> ReplyAttention:
    """What each reply token reads in decoder block `layer`."""
    q, k = decoder_queries_keys(case.model, case.decoder_states, layer)
    count = len(case.reply_ids)
    weights = attention_map(
        q[:, :, -count:], k, is_causal=True, backend=case.model.decoder.backend
    )[0]
    prompt, first = case.prompt_ids.shape[1], case.first_audio
    audio = weights[:, :, first : first + case.num_tokens]
    on_audio, on_reply = audio.sum(-1), weights[:, :, prompt:].sum(-1)
    on_text = weights[:, :, :prompt].sum(-1) - on_audio
    return ReplyAttention(
        audio=audio.cpu().numpy(),
        share=torch.stack([on_audio, on_text, on_reply], dim=-1).cpu().numpy(),
        even_share=case.num_tokens / np.arange(prompt, prompt + count),
    )


def by_word(case: Case, rows: np.ndarray) -> np.ndarray:
    """Rows of reply tokens (..., R, X) as rows of words (..., W, X): the mean over each word's tokens."""
    return np.stack(
        [rows[..., word.first : word.stop, :].mean(axis=-2) for word in case.words], axis=-2
    )


def entropy_bits(weights: np.ndarray) -> np.ndarray:
    """Entropy of rows (..., X), each scaled to add up to one: 0 bits for one place, log2 X for all places alike.

    Two to this power is the number of places that the row reads, as it were. A row of zeros has 0 bits.
    """
    total = weights.sum(axis=-1, keepdims=True)
    p = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return -(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=-1) + 0.0


def most_bits(places: int) -> float:
    """Entropy of a row that reads all of so many places alike."""
    return float(np.log2(places))


def busiest_range(row: np.ndarray, width: int) -> tuple[int, int]:
    """The `width` neighbouring places of a row (X,) that hold the most weight together: first and one past the last."""
    width = min(width, len(row))
    sums = np.convolve(row, np.ones(width), mode="valid")
    first = int(sums.argmax())
    return first, first + width


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Picture:
    """A map as bytes."""

    values: np.ndarray  # (rows, columns) uint8; weight is high * (value / 255) ** (1 / GAMMA)
    high: float
    """The weight that 255 stands for, the map's largest."""


def picture(weights: np.ndarray) -> Picture:
    """Weights (rows, columns) as a picture of their own brightness."""
    high = float(weights.max(initial=0.0))
    scaled = (weights / high) ** GAMMA if high > 0 else np.zeros_like(weights)
    return Picture(values=np.rint(255 * scaled).astype(np.uint8), high=high)


def shrink(weights: np.ndarray, limit: int = THUMBNAIL) -> np.ndarray:
    """A small copy (..., rows, columns) of at most `limit` rows and columns: the largest weight of each patch.

    The mean would wash out thin diagonals, which are what one looks for.
    """
    rows, columns = weights.shape[-2:]
    size = (min(rows, limit), min(columns, limit))
    stacked = torch.from_numpy(np.ascontiguousarray(weights)).reshape(-1, 1, rows, columns)
    small = F.adaptive_max_pool2d(stacked, size)
    return small.reshape(*weights.shape[:-2], *size).numpy()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Overview:
    """All maps of the encoder or of the decoder, small, with their numbers; index 0 of heads is the heads' mean."""

    part: str
    """encoder or decoder."""
    thumbnails: np.ndarray  # (L, 1 + H, h, w) uint8, each with its own brightness
    entropy: np.ndarray  # (L, 1 + H) bits over the clip's tokens, mean over rows
    # (L, 1 + H, 3) decoder only: audio, prompt text, reply; mean over rows
    share: np.ndarray | None
    # the audio share of a head that reads every place alike, mean over rows
    even_share: float | None
    columns: int  # places of the clip that a row reads


def overview(case: Case, part: str) -> Overview:
    """Every layer and head of `part`, encoder or decoder."""
    layers = getattr(case.model.config, part).num_layers
    thumbnails, entropies, shares, even, columns = [], [], [], None, 0
    for layer in range(layers):
        maps, share, even = _maps(case, part, layer)
        maps = with_mean(maps)
        columns = maps.shape[-1]
        thumbnails.append([picture(small).values for small in shrink(maps)])
        entropies.append(entropy_bits(maps).mean(axis=-1))
        if share is not None:
            shares.append(with_mean(share).mean(axis=1))
    return Overview(
        part=part,
        thumbnails=np.array(thumbnails),
        entropy=np.array(entropies),
        share=np.array(shares) if shares else None,
        even_share=even,
        columns=columns,
    )


def with_mean(maps: np.ndarray) -> np.ndarray:
    """Maps (H, ...) with their mean before them (1 + H, ...)."""
    return np.concatenate([maps.mean(axis=0, keepdims=True), maps])


def one_map(case: Case, part: str, layer: int, head: int | None = None) -> np.ndarray:
    """One map in full, rows by places of the clip; without `head` the mean of all heads.

    Rows are the encoder's tokens (P, P), or the reply's words (W, A).
    """
    if part == "encoder" and head is not None:
        return encoder_maps(case, layer, heads=[head])[0]
    maps, _, _ = _maps(case, part, layer)
    return maps.mean(axis=0) if head is None else maps[head]


def _maps(case: Case, part: str, layer: int) -> tuple[np.ndarray, np.ndarray | None, float | None]:
    """Maps (H, rows, columns) of one layer, and for the decoder shares (H, rows, 3) and the even share."""
    if part == "encoder":
        return encoder_maps(case, layer), None, None
    view = reply_attention(case, layer)
    even = by_word(case, view.even_share[:, None])
    return by_word(case, view.audio), by_word(case, view.share), float(even.mean())
