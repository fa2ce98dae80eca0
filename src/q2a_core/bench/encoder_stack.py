"""What the encoder costs beside the least that it could: its blocks alone, each one call of PyTorch's attention.

The bare stack has the encoder's own weights, width and number of frames, and nothing else: no convolutions, no
positions, no lengths, no pool.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from q2a_core.bench.pair import Pair, noise_clip, our_mel
from q2a_core.lengths import encoder_frames, mel_frames
from q2a_core.model.audio_encoder import AudioEncoder, EncoderBlock


def encoder_sides(pair: Pair, *, seconds: float) -> tuple[Callable[[], None], Callable[[], None]]:
    """Our encoder on a clip of `seconds`, and the bare stack on as many frames."""
    samples = noise_clip(seconds)
    mel, length = our_mel(pair, samples)[None], torch.tensor([mel_frames(len(samples))])
    encoder = pair.model.audio_encoder
    frames = torch.randn(
        1,
        encoder_frames(int(length)),
        encoder.config.d_model,
        generator=torch.Generator().manual_seed(0),
    )

    @torch.inference_mode()
    def ours() -> None:
        encoder(mel, length)

    @torch.inference_mode()
    def bare() -> None:
        bare_stack(encoder, frames)

    return ours, bare


def bare_stack(encoder: AudioEncoder, x: Tensor) -> Tensor:
    """The blocks alone on frames (N, E, C)."""
    for block in encoder.layers:
        assert isinstance(block, EncoderBlock)
        q, k, v = block.self_attn.qkv(block.self_attn_layer_norm(x))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + block.self_attn.out_proj(mixed)
        x = x + block.fc2(F.gelu(block.fc1(block.final_layer_norm(x))))
    return x
