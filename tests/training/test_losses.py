"""The losses against their definitions."""

import pytest
import torch
import torch.nn.functional as F

from q2a_core.model import causal_lm_loss
from q2a_core.training.batches import Batch
from q2a_core.training.losses import greedy_spelling, next_token_losses, spelling_loss
from q2a_core.world.speech.spelling import LETTERS


def test_next_token_losses_are_the_models_own_loss_token_by_token(tiny_model):
    generator = torch.Generator().manual_seed(0)
    input_ids = torch.randint(30, 300, (3, 12), generator=generator)
    labels = input_ids.clone()
    labels[:, :5] = -100
    labels[1, 9:] = -100
    with torch.no_grad():
        hidden_states = tiny_model.hidden_states(input_ids)
        losses, counted = next_token_losses(tiny_model, hidden_states, labels)
        logits = tiny_model.decoder.lm_head(hidden_states)
        expected = causal_lm_loss(logits, labels)
        second = causal_lm_loss(logits[1:2], labels[1:2])
    rows = counted.nonzero()[:, 0]
    assert rows.tolist() == [0] * 7 + [1] * 4 + [2] * 7
    torch.testing.assert_close(losses.mean(), expected)
    torch.testing.assert_close(losses[rows == 1].mean(), second)


def _batch(letters: torch.Tensor, letter_lengths: torch.Tensor, mel_lengths: torch.Tensor) -> Batch:
    empty = torch.zeros(1, 1, dtype=torch.long)
    return Batch(
        input_ids=empty,
        labels=empty,
        mel=None,
        mel_lengths=mel_lengths,
        letters=letters,
        letter_lengths=letter_lengths,
        label_tasks=empty,
    )


def test_spelling_loss_skips_silent_clips_and_divides_by_letters():
    generator = torch.Generator().manual_seed(1)
    log_probs = torch.randn(3, 40, len(LETTERS) + 1, generator=generator).log_softmax(-1)
    letters = torch.randint(1, 28, (3, 6), generator=generator)
    batch = _batch(letters, torch.tensor([6, 0, 3]), torch.tensor([80, 80, 61]))
    total, count = spelling_loss(log_probs, batch)
    one = F.ctc_loss(
        log_probs[:1].transpose(0, 1),
        letters[:1],
        torch.tensor([40]),
        torch.tensor([6]),
        reduction="sum",
    )
    two = F.ctc_loss(
        log_probs[2:].transpose(0, 1),
        letters[2:],
        torch.tensor([31]),
        torch.tensor([3]),
        reduction="sum",
    )
    assert int(count) == 2
    torch.testing.assert_close(total, one / 6 + two / 3)


def test_spelling_loss_of_clips_without_speech_is_zero_with_a_gradient():
    log_probs = torch.randn(2, 10, 28, requires_grad=True)
    total, count = spelling_loss(
        log_probs, _batch(torch.zeros(2, 0), torch.zeros(2).long(), torch.tensor([20, 20]))
    )
    total.backward()
    assert int(count) == 0
    assert total.item() == 0.0
    assert log_probs.grad is not None


@pytest.mark.parametrize(
    ("classes", "spelled"), [([0, 2, 2, 0, 2, 3], "aab"), ([0, 0], ""), ([9, 1, 9], "h h")]
)
def test_greedy_spelling_drops_repeats_and_blanks(classes, spelled):
    log_probs = F.one_hot(torch.tensor([*classes, 5, 5]), 28).float().log()
    assert greedy_spelling(log_probs, len(classes)) == spelled
