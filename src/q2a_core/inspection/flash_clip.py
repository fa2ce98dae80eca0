"""Flash attention on a real clip: one encoder head's queries, keys and values, its tiles, and the reference.

What enters each block is computed once for a clip; a layer and a head are then one projection away. On request the clip
is padded as if a longer one stood beside it in a batch: the rows behind it hold what they hold there.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from q2a_core import lengths
from q2a_core.audio.mel import log_mel
from q2a_core.inspection.flash_steps import FlashRun, TileStep, flash_steps
from q2a_core.kernels import attention
from q2a_core.model import Qwen2Audio
from q2a_core.model.audio_encoder import EncoderBlock

TILES = (4, 8, 16, 32, 64, 128, 256)
"""Sizes of a tile that one can choose."""
MOST_TILES = 16
"""Tiles along a side; smaller ones would be too many to look at."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EncoderInputs:
    """What enters each encoder block for one clip."""

    layers: list[Tensor]
    """(P, C) each; places past `length` are padding."""
    length: int
    """Encoder frames of the clip, 20 ms each."""

    @property
    def places(self) -> int:
        return self.layers[0].shape[0]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeadRun:
    """All tiles of one head, and the reference's answer."""

    run: FlashRun
    reference: Tensor
    """(P, Dh)"""
    tile: int
    peak: float
    """Largest weight of the whole map."""

    @property
    def difference(self) -> float:
        """Largest absolute difference between the finished output and the reference."""
        return float((self.run.out - self.reference).abs().max())

    @property
    def tiles(self) -> int:
        """Tiles along a side."""
        return -(-self.run.out.shape[0] // self.tile)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepView:
    """One tile of keys passing one tile of queries, as arrays; padding that fills a tile up is left out."""

    number: int
    queries: tuple[int, int]
    keys: tuple[int, int]
    """First place and the one after the last, within the places there are."""
    skipped: bool
    valid_rows: int
    """Rows of the tile that belong to the clip."""
    old_max: np.ndarray
    new_max: np.ndarray
    rescale: np.ndarray
    old_sum: np.ndarray
    new_sum: np.ndarray
    """(R,) running maximum and sum before and after, and the factor between: exp(old maximum - new maximum)."""
    accumulator: np.ndarray
    """(R, Dh) after the tile."""
    unfinished: float | None
    """Largest absolute difference of accumulator / sum to the reference; None where nothing was added yet."""

    @property
    def grew(self) -> int:
        """Rows of the clip whose maximum this tile raised, the first tile's rows included."""
        rows = slice(0, self.valid_rows)
        return int((self.new_max[rows] > self.old_max[rows]).sum())


@torch.inference_mode()
def encoder_inputs(
    model: Qwen2Audio, samples: np.ndarray, *, beside_seconds: float = 0.0
) -> EncoderInputs:
    """What enters each encoder block for a clip (S,) of at most one window; what is longer is cut off.

    With `beside_seconds` the clip is padded to the frames of a clip of that length, at most the window.
    """
    encoder = model.audio_encoder
    config, weight = encoder.config, encoder.conv1.weight
    samples = samples[: config.max_samples]
    mel = log_mel(samples, num_mels=config.num_mel_bins, max_frames=config.max_mel_frames)
    mel_frames = lengths.mel_frames(len(samples))
    length = lengths.encoder_frames(mel_frames)
    beside = min(round(beside_seconds * lengths.SAMPLE_RATE), config.max_samples)
    places = max(length, lengths.encoder_frames(lengths.mel_frames(beside)) if beside else 0)
    x = encoder.embed_mel(mel[None].to(weight.device, weight.dtype), mel_frames)
    x = F.pad(x, (0, 0, 0, places - length))
    valid = torch.tensor([length], device=x.device) if places > length else None
    layers = []
    for block in encoder.layers:
        layers.append(x[0])
        if len(layers) < len(encoder.layers):
            x = block(x, valid, encoder.backend)
    return EncoderInputs(layers=layers, length=length)


@torch.inference_mode()
def head_tensors(
    model: Qwen2Audio, inputs: EncoderInputs, *, layer: int, head: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (P, Dh) of one head, fp32 on the CPU."""
    block = model.audio_encoder.layers[layer]
    assert isinstance(block, EncoderBlock)
    x = block.self_attn_layer_norm(inputs.layers[layer])[None]
    q, k, v = (tensor[0, head].float().cpu() for tensor in block.self_attn.qkv(x))
    return q, k, v


def tile_choices(places: int) -> tuple[int, ...]:
    """Sizes that cut `places` into at most MOST_TILES a side, up to the first that holds them all."""
    fitting = [tile for tile in TILES if -(-places // tile) <= MOST_TILES]
    whole = next((tile for tile in fitting if tile >= places), fitting[-1])
    return tuple(tile for tile in fitting if tile <= whole)


@torch.inference_mode()
def run_head(q: Tensor, k: Tensor, v: Tensor, *, length: int, tile: int) -> HeadRun:
    """Every tile of one head, and `kernels.attention`'s reference on the same tensors."""
    run = flash_steps(q, k, v, length=length, tile=tile)
    q, k, v = (x[None, None] for x in (q, k, v))
    out = attention(q, k, v, lengths=torch.tensor([length]), backend="reference")[0, 0]
    weights = run.weights_so_far(len(run.steps) - 1).nan_to_num(0.0)
    return HeadRun(run=run, reference=out, tile=tile, peak=float(weights.max()))


def view_step(found: HeadRun, number: int) -> StepView:
    """What is held before and after tile `number`."""
    steps, places = found.run.steps, found.run.out.shape[0]
    step = steps[number]
    before = steps[number - 1] if step.keys[0] > 0 else None
    rows = min(step.queries[1], places) - step.queries[0]
    valid = max(min(step.queries[1], found.run.length) - step.queries[0], 0)
    return StepView(
        number=number,
        queries=(step.queries[0], min(step.queries[1], places)),
        keys=(step.keys[0], min(step.keys[1], places)),
        skipped=step.skipped,
        valid_rows=valid,
        old_max=(before.row_max if before else torch.full_like(step.row_max, -torch.inf))[
            :rows
        ].numpy(),
        new_max=step.row_max[:rows].numpy(),
        rescale=step.rescale[:rows].numpy(),
        old_sum=(before.row_sum if before else torch.zeros_like(step.row_sum))[:rows].numpy(),
        new_sum=step.row_sum[:rows].numpy(),
        accumulator=step.accumulator[:rows].numpy(),
        unfinished=_unfinished(found, step, valid),
    )


def _unfinished(found: HeadRun, step: TileStep, valid: int) -> float | None:
    if valid == 0 or not bool((step.row_sum[:valid] > 0).all()):
        return None
    answer = step.accumulator[:valid] / step.row_sum[:valid, None]
    reference = found.reference[step.queries[0] : step.queries[0] + valid]
    return float((answer - reference).abs().max())
