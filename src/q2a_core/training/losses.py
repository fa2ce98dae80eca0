"""The losses, as pure functions of tensors."""

from dataclasses import dataclass

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


def spelling_loss(log_probs: Tensor, batch: Batch) -> Tensor:
    """CTC summed over the clips in which somebody speaks, each divided by its letters."""
    spoken = batch.letter_lengths > 0
    if not bool(spoken.any()):
        return log_probs.sum() * 0.0
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
    return (losses / letter_lengths).sum()


def sequence_logps(model: Qwen2Audio, hidden_states: Tensor, labels: Tensor) -> Tensor:
    """Log-probability of each row's labelled tokens, summed (B,); hidden_states (B, T, D), labels (B, T).

    As in `next_token_losses`, only the hidden states that predict a labelled token become logits.
    """
    targets = labels[:, 1:]
    counted = targets != IGNORE_INDEX
    logits = model.decoder.lm_head(hidden_states[:, :-1][counted]).float()
    logps = -F.cross_entropy(logits, targets[counted], reduction="none")
    return logps.new_zeros(targets.shape).masked_scatter(counted, logps).sum(-1)


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferenceLoss:
    """What a batch of pairs gives; every field is (B,), and only `loss` carries a gradient."""

    loss: Tensor
    accuracy: Tensor  # 1 where the chosen reply has the larger reward
    margin: Tensor  # reward of the chosen reply over the rejected one's
    chosen: Tensor  # log-probability of the chosen reply under the policy
    rejected: Tensor
    kl: Tensor  # estimate of KL(reference || policy) in nats per reply


def dpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float,
) -> PreferenceLoss:
    """-log sigmoid(beta * (how much more the policy prefers chosen to rejected than its frozen reference does)).

    Rafailov et al. 2023, eq. 7, with the names of its authors' code. All log-probabilities are (B,), and a reply's
    reward is beta * (policy - reference). The KL is estimated without bias where the replies are the reference's own
    samples: their mean log-ratio.
    """
    chosen_ratio = policy_chosen - reference_chosen
    rejected_ratio = policy_rejected - reference_rejected
    loss = -F.logsigmoid(beta * (chosen_ratio - rejected_ratio))
    with torch.no_grad():
        margin = beta * (chosen_ratio - rejected_ratio)
        return PreferenceLoss(
            loss=loss,
            accuracy=(margin > 0).to(margin.dtype),
            margin=margin,
            chosen=policy_chosen.detach(),
            rejected=policy_rejected.detach(),
            kl=-(chosen_ratio + rejected_ratio) / 2,
        )
