"""From the encoder's width to the decoder's: one linear layer, no activation."""

from torch import Tensor, nn


class Projector(nn.Module):
    """audio_tokens (N, A, C) -> audio_embeds (N, A, D)."""

    def __init__(self, encoder_width: int, decoder_width: int):
        super().__init__()
        self.linear = nn.Linear(encoder_width, decoder_width)

    def forward(self, audio_tokens: Tensor) -> Tensor:
        return self.linear(audio_tokens)
