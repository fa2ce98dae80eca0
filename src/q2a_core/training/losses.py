"""The losses, as pure functions of tensors."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from q2a_core import lengths
from q2a_core.model import IGNORE_INDEX, Qwen2Audio
from q2a_core.training.batches import Batch
from q2a_core.world.speech.spelling import LETTERS


def next_token_losses(
    model: Qwen2Audio, hidden_states: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of every labelled token (L,), and where those stand among the targets (B, T - 1): paper eq. 1.

    Their mean equals `causal_lm_loss`, but only the hidden states (B, T, D) that predict a labelled token are turned
    into logits.
    """
    targets = labels[:, 1:]
    counted = targets != IGNORE_INDEX
    logits = model.decoder.lm_head(hidden_states[:, :-1][counted])
    return F.cross_entropy(logits.float(), targets[counted], reduction="none"), counted


class SpellingHead(nn.Module):
    """Letters from 50 Hz encoder frames, through the encoder's final norm: used in training only.

    Without it the decoder gets to words very late; see Graves et al. 2006 for the loss.
    """

    def __init__(self, width: int, generator: torch.Generator):
        super().__init__()
        self.linear = nn.Linear(width, len(LETTERS) + 1)
        with torch.no_grad():
            self.linear.weight.normal_(0.0, width**-0.5, generator=generator)
            self.linear.bias.zero_()

    def forward(self, model: Qwen2Audio, encoder_frames: Tensor) -> Tensor:
        """encoder_frames (N, E, C) -> log-probabilities (N, E, len(LETTERS) + 1); class 0 is the blank."""
        return self.linear(model.audio_encoder.layer_norm(encoder_frames)).float().log_softmax(-1)


def spelling_loss(log_probs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """CTC summed over the clips in which somebody speaks, each divided by its letters; and their number."""
    spoken = batch.letter_lengths > 0
    if not bool(spoken.any()):
        return log_probs.sum() * 0.0, spoken.sum()
    frames = lengths.encoder_frames(batch.mel_lengths)[spoken]
    letter_lengths = batch.letter_lengths[spoken]
    losses = F.ctc_loss(
        log_probs[spoken].transpose(0, 1),
        batch.letters[spoken],
        frames,
        letter_lengths,
        reduction="none",
        zero_infinity=True,
    )
    return (losses / letter_lengths).sum(), spoken.sum()


def greedy_spelling(log_probs: Tensor, frames: int) -> str:
    """What the encoder alone would spell for one clip, log_probs (E, len(LETTERS) + 1) of which `frames` are valid.

    The best class of each frame, repeats and blanks dropped.
    """
    best = torch.unique_consecutive(log_probs[:frames].argmax(-1)).tolist()
    return "".join(LETTERS[c - 1] for c in best if c)
