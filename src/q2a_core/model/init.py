"""Fresh weights for training from scratch: variance 1 / fan-in, quieter residual outputs.

Log-mel varies by 0.4 only and GELU halves it twice, while Whisper's sinusoids vary by 0.7: at the start a small encoder
would see the clock and not the sound, and stay there. So the convolutions begin louder and the positions quieter.
"""

import torch
from torch import nn

from q2a_core.model.audio_encoder import AudioEncoder, sinusoids
from q2a_core.model.decoder import Decoder
from q2a_core.model.projector import Projector

CONV_GAIN = 2.5
"""Initial loudness of the convolutions, over variance 1 / fan-in."""
POSITION_GAIN = 0.2
"""Initial size of the sinusoid positions; published checkpoints hold them at 1."""
RESIDUAL_OUTPUTS = ("out_proj", "fc2", "o_proj", "down_proj")
"""Layers whose output is added to the residual stream, two in each block."""


@torch.no_grad()
def draw_weights(
    encoder: AudioEncoder, projector: Projector, decoder: Decoder, generator: torch.Generator
) -> None:
    """Draw all weights anew."""
    _draw_layers(encoder, encoder.config.num_layers, generator)
    _draw_layers(projector, 0, generator)
    _draw_layers(decoder, decoder.config.num_layers, generator)
    decoder.embed_tokens.weight.normal_(0.0, 0.1, generator=generator)
    positions = sinusoids(encoder.config.max_source_positions, encoder.config.d_model)
    encoder.embed_positions.weight.copy_(POSITION_GAIN * positions)


def _draw_layers(part: nn.Module, num_layers: int, generator: torch.Generator) -> None:
    """The matrices and convolutions of a part with `num_layers` residual blocks."""
    for name, module in part.named_modules():
        if not isinstance(module, (nn.Linear, nn.Conv1d)):
            continue
        std = module.weight[0].numel() ** -0.5
        if name.rsplit(".", 1)[-1] in RESIDUAL_OUTPUTS:
            std /= (2 * num_layers) ** 0.5
        if isinstance(module, nn.Conv1d):
            std *= CONV_GAIN
        module.weight.normal_(0.0, std, generator=generator)
        if module.bias is not None:
            module.bias.zero_()
