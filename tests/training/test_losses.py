"""The losses against their definitions; DPO's also against TRL's."""

import math
from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from q2a_core.model import causal_lm_loss
from q2a_core.training.batches import Batch
from q2a_core.training.losses import (
    SpellingHead,
    dpo_loss,
    next_token_losses,
    sequence_logps,
    spelling_loss,
)
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
    total = spelling_loss(log_probs, batch)
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
    torch.testing.assert_close(total, one / 6 + two / 3)


def test_spelling_loss_of_clips_without_speech_is_zero_with_a_gradient():
    log_probs = torch.randn(2, 10, 28, requires_grad=True)
    total = spelling_loss(
        log_probs, _batch(torch.zeros(2, 0), torch.zeros(2).long(), torch.tensor([20, 20]))
    )
    total.backward()
    assert total.item() == 0.0
    assert log_probs.grad is not None


def test_a_word_that_the_frames_cannot_spell_costs_nothing_and_spoils_nothing():
    log_probs = torch.randn(1, 3, 28, generator=torch.Generator().manual_seed(0)).requires_grad_()
    letters, length = torch.randint(1, 27, (1, 9)), torch.tensor([9])
    total = spelling_loss(log_probs.log_softmax(-1), _batch(letters, length, torch.tensor([6])))
    total.backward()
    assert total.item() == 0.0
    assert log_probs.grad is not None
    assert log_probs.grad.isfinite().all()


BETAS = (0.05, 0.1, 0.5)


def test_the_spelling_head_reads_frames_as_the_tokens_are_normed(tiny_model):
    frames = torch.randn(2, 9, 48, generator=torch.Generator().manual_seed(0))
    head, again = (SpellingHead(48, torch.Generator().manual_seed(1)) for _ in range(2))
    with torch.no_grad():
        log_probs = head(tiny_model, frames)
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 9))
        torch.testing.assert_close(head(tiny_model, 100 * frames), log_probs, rtol=0, atol=1e-3)
        assert torch.equal(again(tiny_model, frames), log_probs), "a seed draws its weights"
    assert log_probs.shape == (2, 9, len(LETTERS) + 1)


def _logps(seed: int, count: int = 7) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [-20 * torch.rand(count, generator=generator, dtype=torch.float64) for _ in range(4)]


@pytest.mark.parametrize("beta", BETAS)
def test_loss_and_gradients_equal_those_written_by_hand(beta):
    policy_chosen, policy_rejected, reference_chosen, reference_rejected = _logps(0)
    policy_chosen.requires_grad_()
    policy_rejected.requires_grad_()
    found = dpo_loss(
        policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta=beta
    )
    found.loss.mean().backward()
    for i in range(7):
        chosen = float(policy_chosen[i].detach() - reference_chosen[i])
        rejected = float(policy_rejected[i].detach() - reference_rejected[i])
        z = beta * (chosen - rejected)
        assert float(found.loss[i].detach()) == pytest.approx(math.log1p(math.exp(-z)), rel=1e-9)
        slope = -beta / (1 + math.exp(z)) / 7  # d/dz log(1 + exp(-z)) = -1 / (1 + exp(z))
        assert float(policy_chosen.grad[i]) == pytest.approx(slope, rel=1e-9)
        assert float(policy_rejected.grad[i]) == pytest.approx(-slope, rel=1e-9)
        assert float(found.margin[i]) == pytest.approx(z, rel=1e-9)
        assert float(found.accuracy[i]) == (1.0 if z > 0 else 0.0)
        assert float(found.kl[i]) == pytest.approx(-(chosen + rejected) / 2, rel=1e-9)


def test_at_the_reference_the_loss_is_log_two_and_the_kl_zero():
    policy = _logps(1)[:2]
    found = dpo_loss(*policy, *policy, beta=0.1)
    torch.testing.assert_close(found.loss, torch.full((7,), math.log(2), dtype=torch.float64))
    assert not found.kl.any()
    assert not found.accuracy.any(), "a tie is no win"


@pytest.mark.parametrize("beta", BETAS)
def test_loss_and_gradients_equal_trls(beta):
    """TRL's own method on an object that holds no more than it looks at."""
    trainer = pytest.importorskip("trl.trainer.dpo_trainer", exc_type=ImportError)
    generator = torch.Generator().manual_seed(2)
    pairs, tokens, answer = 5, 9, 4
    token_logps = -3 * torch.rand(2 * pairs, tokens - 1, generator=generator)
    mask = torch.zeros(2 * pairs, tokens, dtype=torch.long)
    mask[:, -answer:] = 1
    token_logps = (token_logps * mask[:, 1:]).requires_grad_()
    reference = -8 * torch.rand(2 * pairs, generator=generator)

    class Model:
        training = True

        def __call__(self, **_):
            zeros = torch.zeros_like(token_logps)
            return SimpleNamespace(
                log_probs=token_logps,
                entropy=zeros,
                mean_logits=zeros,
                is_top1=zeros.bool(),
                log_sum_sq_probs=zeros,
            )

    model = Model()
    accelerator = SimpleNamespace(
        device=torch.device("cpu"), gather=lambda x: x, gather_for_metrics=lambda x: x
    )
    metrics = {"train": defaultdict(list)}
    this = SimpleNamespace(
        model=model,
        accelerator=accelerator,
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=["sigmoid"],
        loss_weights=[1.0],
        beta=beta,
        use_weighting=False,
        _metrics=metrics,
        _total_train_tokens=0,
        _tp_size=1,
    )
    inputs = {
        "input_ids": torch.ones(2 * pairs, tokens, dtype=torch.long),
        "attention_mask": torch.ones(2 * pairs, tokens, dtype=torch.long),
        "completion_mask": mask,
        "ref_chosen_logps": reference[:pairs],
        "ref_rejected_logps": reference[pairs:],
    }
    theirs = trainer.DPOTrainer._compute_loss(this, model, inputs, return_outputs=False)
    theirs.backward()
    their_gradient, token_logps.grad = token_logps.grad, None

    chosen, rejected = token_logps.sum(1).chunk(2)
    ours = dpo_loss(chosen, rejected, *reference.chunk(2), beta=beta)
    ours.loss.mean().backward()
    torch.testing.assert_close(ours.loss.mean(), theirs)
    torch.testing.assert_close(token_logps.grad, their_gradient)
    for name, mine in (
        ("rewards/accuracies", ours.accuracy),
        ("rewards/margins", ours.margin),
        ("logps/chosen", ours.chosen),
        ("logps/rejected", ours.rejected),
    ):
        assert metrics["train"][name][0] == pytest.approx(float(mine.mean()), rel=1e-5)


def test_sequence_logps_sum_the_labelled_tokens_of_each_row(tiny_model):
    generator = torch.Generator().manual_seed(3)
    input_ids = torch.randint(30, 300, (3, 12), generator=generator)
    labels = input_ids.clone()
    labels[:, :5] = -100
    labels[1, 9:] = -100
    labels[2] = -100
    with torch.no_grad():
        hidden_states = tiny_model.hidden_states(input_ids)
        found = sequence_logps(tiny_model, hidden_states, labels)
        logps = tiny_model.decoder.lm_head(hidden_states).log_softmax(-1)
    for row in range(3):
        places = [t for t in range(1, 12) if labels[row, t] != -100]
        expected = sum(float(logps[row, t - 1, labels[row, t]]) for t in places)
        assert float(found[row]) == pytest.approx(expected, abs=1e-4)
