"""The objective of all stages with true answers: the next token of every answer, and spelling for the encoder.

Pre-training and fine-tuning hand what the encoder hears to the decoder. Before them the two learn apart: an ear that
spells (it stands for Whisper's weights) and a tongue that knows how answers go (it stands for Qwen's).
"""

import torch
from torch import Tensor

from q2a_core.model import IGNORE_INDEX, Qwen2Audio
from q2a_core.training.batches import Batch
from q2a_core.training.losses import SpellingHead, next_token_losses, spelling_loss
from q2a_core.training.objective import Objective
from q2a_core.world.prompts import TASKS

BY_TASK = "loss/"
"""Stands before the names of tasks among the sums."""


class Supervised(Objective):
    """Next-token loss over the labelled tokens, of all and of each task, and CTC over the clips with speech."""

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
        """Labelled tokens, in all and by task, and clips with speech."""
        labelled = batch.labels[:, 1:] != IGNORE_INDEX
        tasks = batch.label_tasks[:, 1:][labelled].bincount(minlength=len(TASKS)).tolist()
        by_task = {BY_TASK + task: count for task, count in zip(TASKS, tasks, strict=True)}
        spoken = int((batch.letter_lengths > 0).sum())
        return {"loss": sum(tasks), "spelling": spoken, **by_task}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Summed next-token loss, in all and by task, and summed spelling loss."""
        model = self.model
        audio_embeds, spelling = None, None
        if batch.mel is not None:
            encoder_frames = model.audio_encoder.encode_frames(batch.mel, batch.mel_lengths)
            if self.connected:
                audio_embeds = model.embed_frames(encoder_frames, batch.mel_lengths)
            if "spelling" in self.weights:
                spelling = spelling_loss(self.spelling_head(model, encoder_frames), batch)
        hidden_states = model.hidden_states(batch.input_ids, audio_embeds=audio_embeds)
        losses, counted = next_token_losses(model, hidden_states, batch.labels)
        loss = losses.sum()
        tasks = batch.label_tasks[:, 1:][counted]
        by_task = losses.new_zeros(len(TASKS)).index_add(0, tasks, losses.detach())
        return {
            "loss": loss,
            "spelling": loss.detach() * 0.0 if spelling is None else spelling,
            **{BY_TASK + task: by_task[place] for place, task in enumerate(TASKS)},
        }
