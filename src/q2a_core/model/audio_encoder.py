"""The audio encoder: Whisper's, with a stride-2 average pool before the final norm.

    mel (N,M,F) -> conv, conv stride 2 -> encoder_frames (N,E,C) -> blocks -> pool 2 -> norm -> audio_tokens (N,A,C)

Key names and values are those of transformers' Qwen2AudioEncoder, with one difference: nothing is padded to 30 s. A
batch is cut into groups of similar length, so that a short clip beside a long one costs what it costs alone.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from q2a_core import lengths
from q2a_core.config import EncoderConfig
from q2a_core.kernels import attention
from q2a_core.model.frame_conv import FrameConv
from q2a_core.model.layers import vector_table

GROUP_RATIO = 0.75
"""Clips share a padded group if the shorter has at least this share of the longer's frames."""


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's fixed positions (length, width): sines of geometric frequencies, then cosines."""
    increment = math.log(10_000) / (width // 2 - 1)
    frequency = torch.exp(-increment * torch.arange(width // 2))
    angle = torch.arange(length)[:, None] * frequency[None, :]
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def length_groups(lengths: list[int]) -> list[list[int]]:
    """Indices of `lengths`, longest first, cut into groups: no member is shorter than GROUP_RATIO times the longest."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if groups and lengths[index] >= GROUP_RATIO * lengths[groups[-1][0]]:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


class EncoderAttention(nn.Module):
    """Bidirectional multi-head attention; the key projection has no bias."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.num_heads = config.num_heads
        self.head_dim = config.head_dim
        self.q_proj = nn.Linear(config.d_model, config.d_model)
        self.k_proj = nn.Linear(config.d_model, config.d_model, bias=False)
        self.v_proj = nn.Linear(config.d_model, config.d_model)
        self.out_proj = nn.Linear(config.d_model, config.d_model)

    def qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (N, H, E, Dh)."""
        shape = (x.shape[0], x.shape[1], self.num_heads, self.head_dim)
        q, k, v = (
            proj(x).view(shape).transpose(1, 2) for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        return q, k, v

    def forward(self, x: Tensor, lengths: Tensor | None, backend: str = "auto") -> Tensor:
        q, k, v = self.qkv(x)
        mixed = attention(q, k, v, lengths=lengths, backend=backend)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class EncoderBlock(nn.Module):
    """Pre-norm attention and GELU feed-forward, each with a residual."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model)
        self.self_attn = EncoderAttention(config)
        self.final_layer_norm = nn.LayerNorm(config.d_model)
        self.fc1 = nn.Linear(config.d_model, config.d_ff)
        self.fc2 = nn.Linear(config.d_ff, config.d_model)

    def forward(self, x: Tensor, lengths: Tensor | None, backend: str = "auto") -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), lengths, backend)
        x = x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        if x.dtype == torch.float16:  # the published encoder overflows fp16 now and then
            limit = torch.finfo(x.dtype).max - 1000
            x = x.clamp(-limit, limit)
        return x


class AudioEncoder(nn.Module):
    """Log-mel frames to 40 ms audio tokens."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.backend = "auto"
        self.conv1 = FrameConv(config.num_mel_bins, config.d_model, kernel_size=3, padding=1)
        self.conv2 = FrameConv(
            config.d_model, config.d_model, kernel_size=3, stride=lengths.CONV_STRIDE, padding=1
        )
        self.embed_positions = vector_table(config.max_source_positions, config.d_model)
        self.embed_positions.requires_grad_(False)
        self.layers = nn.ModuleList(EncoderBlock(config) for _ in range(config.num_layers))
        self.layer_norm = nn.LayerNorm(config.d_model)

    def forward(self, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        """mel (N, M, F), valid frames mel_lengths (N,) -> audio_tokens (N, A, C); rows past a clip's tokens are
        junk."""
        encoder_frames = self.encode_frames(mel, mel_lengths)
        return self.pool(encoder_frames)

    def encode_frames(self, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        """The blocks' output at 50 Hz, (N, E, C) with E of the longest clip; rows past a clip's end are junk or zero.

        `mel` must hold each clip's frames and the one or two after them that the convolutions read
        (`lengths.conv_mel_frames`), or reach the end of the window. Raises ValueError otherwise.
        """
        clip_lengths = mel_lengths.tolist()
        self.check_mel(mel, clip_lengths)
        groups = length_groups(clip_lengths)
        if len(groups) == 1:
            return self._encode_group(mel, clip_lengths)
        longest = lengths.encoder_frames(max(clip_lengths))
        encoder_frames = mel.new_zeros(len(clip_lengths), longest, self.config.d_model)
        for group in groups:
            frames = self._encode_group(mel[group], [clip_lengths[i] for i in group])
            encoder_frames[group, : frames.shape[1]] = frames
        return encoder_frames

    def pool(self, encoder_frames: Tensor) -> Tensor:
        """50 Hz to 25 Hz: average each pair of frames, then norm (Whisper norms without pooling).

        A frame without a second one makes no token.
        """
        if encoder_frames.shape[1] < lengths.POOL_STRIDE:
            return encoder_frames[:, :0]
        pooled = F.avg_pool1d(
            encoder_frames.transpose(1, 2), lengths.POOL_STRIDE, lengths.POOL_STRIDE
        )
        return self.layer_norm(pooled.transpose(1, 2))

    def conv_stem(self, mel: Tensor) -> Tensor:
        """mel (N, M, F) -> encoder frames before positions and blocks (N, E, C)."""
        return F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)

    def embed_mel(self, mel: Tensor, length: int) -> Tensor:
        """Convolutions and positions: the first `length` frames of mel (N, M, F) -> what the blocks read (N, E, C)."""
        frames = lengths.encoder_frames(length)
        x = self.conv_stem(mel[:, :, : self.config.conv_mel_frames(length)])[:, :frames]
        return x + self.embed_positions.weight[:frames]

    def blocks(self, x: Tensor, frame_lengths: Tensor | None) -> Tensor:
        """All blocks (N, E, C) -> (N, E, C); `frame_lengths` (N,) counts each clip's valid frames."""
        for block in self.layers:
            x = block(x, frame_lengths, self.backend)
        return x

    def _encode_group(self, mel: Tensor, clip_lengths: list[int]) -> Tensor:
        longest = max(clip_lengths)
        x = self.embed_mel(mel, longest)
        frames = x.shape[1]
        frame_lengths = None
        if min(clip_lengths) < longest:
            frame_lengths = torch.tensor(
                [lengths.encoder_frames(n) for n in clip_lengths], device=mel.device
            )
            # a masked key still takes part in sums, where NaN or infinity behind a clip would spread
            beyond = torch.arange(frames, device=mel.device) >= frame_lengths[:, None]
            x = x.masked_fill(beyond[..., None], 0.0)
        return self.blocks(x, frame_lengths)

    def check_mel(self, mel: Tensor, clip_lengths: list[int]) -> None:
        """Raises ValueError if `mel` (N, M, F) does not hold clips of these lengths."""
        if (
            mel.ndim != 3
            or mel.shape[1] != self.config.num_mel_bins
            or mel.shape[0] != len(clip_lengths)
            or not clip_lengths
        ):
            raise ValueError(
                f"mel has shape {tuple(mel.shape)} for {len(clip_lengths)} clips; "
                f"expected (clips, {self.config.num_mel_bins}, frames), and a length for each clip"
            )
        if min(clip_lengths) < 1 or max(clip_lengths) > self.config.max_mel_frames:
            raise ValueError(
                f"clips of {min(clip_lengths)} to {max(clip_lengths)} mel frames; "
                f"expected 1 to {self.config.max_mel_frames}, the window of {self.config.max_seconds:g} s"
            )
        needed = self.config.conv_mel_frames(max(clip_lengths))
        if mel.shape[2] < needed:
            raise ValueError(
                f"mel holds {mel.shape[2]} frames; the convolutions read {needed} "
                f"for a clip of {max(clip_lengths)} frames"
            )
