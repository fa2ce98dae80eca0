"""The objective of all stages with true answers: the next token of every answer, and spelling for the encoder.

Pre-training and fine-tuning hand what the encoder hears to the decoder. Before them the two learn apart: an ear that
spells (it stands for Whisper's weights) and a tongue that knows how answers go (it stands for Qwen's).
"""

import torch
from torch import Tensor

from q2a_core.model import IGNORE_INDEX, Qwen2Audio
from q2a_core.training.batches import Batch
from q2a_core.training.losses import SpellingHead, next_token_loss, spelling_loss
from q2a_core.training.objective import Objective


class Supervised(Objective):
    """Next-token loss over the labelled tokens, and CTC over the clips in which somebody speaks."""

    def __init__(self, model: Qwen2Audio, *, ctc_weight: float, seed: int, connected: bool = True):
        super().__init__(model)
        self.connected = connected
        generator = torch.Generator().manual_seed(seed)
        self.spelling_head = SpellingHead(model.config.encoder.d_model, generator)
        self.spelling_head.requires_grad_(ctc_weight > 0)
        self.weights = {"loss": 1.0}
        if ctc_weight > 0:
            self.weights["spelling"] = ctc_weight

    def counts(self, batch: Batch) -> dict[str, int]:
        """Labelled tokens, and clips with speech."""
        return {
            "loss": int((batch.labels[:, 1:] != IGNORE_INDEX).sum()),
            "spelling": int((batch.letter_lengths > 0).sum()),
        }

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Summed next-token loss and summed spelling loss."""
        model = self.model
        audio_embeds, spelling = None, None
        if batch.mel is not None:
            encoder_frames = model.audio_encoder.encode_frames(batch.mel, batch.mel_lengths)
            if self.connected:
                audio_embeds = model.embed_frames(encoder_frames, batch.mel_lengths)
            if "spelling" in self.weights:
                spelling, _ = spelling_loss(self.spelling_head(model, encoder_frames), batch)
        hidden_states = model.hidden_states(batch.input_ids, audio_embeds=audio_embeds)
        loss, _ = next_token_loss(model, hidden_states, batch.labels)
        return {"loss": loss, "spelling": loss.detach() * 0.0 if spelling is None else spelling}
