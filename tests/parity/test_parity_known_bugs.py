"""Where transformers is known to be wrong: what is right, shown by a route on which transformers agrees with itself.

Nothing here asserts that transformers stays wrong; what it still does wrong is counted and printed.
"""

import math

import numpy as np
import pytest
import torch
from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration
from transformers.models.whisper.modeling_whisper import sinusoids as whisper_sinusoids

from parity.oracle import Batch, greedy, random_model, stack_rows, twin
from q2a_core import presets
from q2a_core.config_json import config_to_hf
from q2a_core.errors import ChatError
from q2a_core.inference import GenerationSettings, generate
from q2a_core.lengths import audio_tokens, mel_frames
from q2a_core.model import IGNORE_INDEX, Qwen2Audio
from q2a_core.model.audio_encoder import sinusoids
from q2a_core.model.init import POSITION_GAIN

NEW_TOKENS = 12
ONE_TOKEN = [mel_frames(321), mel_frames(640), mel_frames(960)]
"""Clips of 20 to 60 ms, each one audio token long."""


@pytest.fixture(scope="module")
def model() -> Qwen2Audio:
    return random_model(presets.tiny(vocab_size=320), 11)


@pytest.fixture(scope="module")
def theirs(model):
    return twin(model)


def dialogues(
    mel_lengths: list[int], *, expanded: bool = True, side: str = "left", rows: range | None = None
) -> Batch:
    """One clip per dialogue; dialogue k is the same whichever others are in the batch."""
    chosen = list(range(len(mel_lengths)) if rows is None else rows)
    ids, labels, mels = [], [], []
    for k in chosen:
        rng = np.random.default_rng(k)
        count = audio_tokens(mel_lengths[k]) if expanded else 1
        before, after = (rng.integers(4, 320, size=n).tolist() for n in (3 + 2 * k, 6))
        ids.append([*before, *[3] * count, *after])
        labels.append([IGNORE_INDEX] * (len(ids[-1]) - 2 - k) + ids[-1][-2 - k :])
        mels.append(torch.tensor(rng.normal(0, 0.7, size=(128, 500)), dtype=torch.float32))
    lengths = torch.tensor([mel_lengths[k] for k in chosen])
    return stack_rows(ids, labels, side=side, mel=torch.stack(mels), mel_lengths=lengths)


def our_replies(model: Qwen2Audio, batch: Batch) -> list[list[int]]:
    settings = GenerationSettings(max_new_tokens=NEW_TOKENS)
    return generate(model, **batch.ours, settings=settings).token_ids


def their_replies(theirs, batch: Batch) -> list[list[int]] | None:
    """None if transformers cannot answer this batch."""
    try:
        return greedy(theirs, batch, new_tokens=NEW_TOKENS)
    except (TypeError, ValueError, RuntimeError):
        return None


@pytest.mark.filterwarnings("ignore")
def test_clips_of_one_token(model, theirs, findings):
    """A batch of them is taken for unexpanded text and crashes; beside a longer clip the same rows are answered."""
    assert audio_tokens(torch.tensor(ONE_TOKEN)).tolist() == [1, 1, 1]
    mixed = greedy(theirs, dialogues([*ONE_TOKEN, 90]), new_tokens=NEW_TOKENS)[:3]
    assert our_replies(model, dialogues(ONE_TOKEN)) == mixed
    for k in range(3):
        alone = dialogues(ONE_TOKEN, rows=range(k, k + 1))
        assert our_replies(model, alone) == [mixed[k]]
        wrong = their_replies(theirs, alone) != [mixed[k]]
        findings.count("transformers wrong: a clip of one token alone", int(wrong))


@pytest.mark.filterwarnings("ignore")
def test_placeholders_that_were_not_expanded(model, theirs, findings):
    """Their first token is right and the rest drifts; we refuse such text, and answer the expanded one."""
    lengths = [40, 90, 200]
    expected = greedy(theirs, dialogues(lengths), new_tokens=NEW_TOKENS)
    assert our_replies(model, dialogues(lengths)) == expected
    unexpanded = dialogues(lengths, expanded=False)
    with pytest.raises(ChatError, match="3 audio placeholders but the clips give 82"):
        our_replies(model, unexpanded)
    replies = their_replies(theirs, unexpanded) or [[]] * 3
    wrong = sum(reply != right for reply, right in zip(replies, expected, strict=True))
    findings.count("transformers wrong: unexpanded placeholders in a padded batch", wrong)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_no_loss_and_no_gradient(side, model):
    """A padded batch is the token-weighted mean of its rows: its neighbours change nothing."""
    lengths = [40, 90, 200]
    batch = dialogues(lengths, side=side)
    loss = model(**batch.ours, labels=batch.labels).loss
    rows = [dialogues(lengths, rows=range(k, k + 1)) for k in range(3)]
    losses = [model(**row.ours, labels=row.labels).loss for row in rows]
    counts = [int((row.labels != IGNORE_INDEX).sum()) for row in rows]
    assert len(set(counts)) == 3
    mean = sum(one * n for one, n in zip(losses, counts, strict=True)) / sum(counts)
    torch.testing.assert_close(loss, mean, rtol=1e-5, atol=0)
    whole, parts = gradient(model, loss), gradient(model, mean)
    torch.testing.assert_close(whole, parts, rtol=1e-3, atol=1e-6)


def test_accumulated_micro_batches_weigh_every_token_alike(model, theirs, findings):
    """The mean over all labelled tokens, in one batch or in pieces; transformers is told their number and ignores it.

    Its trainer then leaves out the division by the number of micro-batches, so that gradients grow with it.
    """
    lengths = [40, 90, 200]
    rows = [dialogues(lengths, rows=range(k, k + 1)) for k in range(3)]
    total = sum(int((row.labels != IGNORE_INDEX).sum()) for row in rows)
    whole = dialogues(lengths)
    expected = gradient(model, model(**whole.ours, labels=whole.labels).loss)
    model.zero_grad(set_to_none=True)
    for row in rows:
        count = int((row.labels != IGNORE_INDEX).sum())
        (model(**row.ours, labels=row.labels).loss * count / total).backward()
    accumulated = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    model.zero_grad(set_to_none=True)
    torch.testing.assert_close(accumulated, expected, rtol=1e-3, atol=1e-6)
    with torch.inference_mode():
        pieces = [theirs(**r.theirs, labels=r.labels, num_items_in_batch=total).loss for r in rows]
        mean = theirs(**whole.theirs, labels=whole.labels).loss
    wrong = not math.isclose(sum(map(float, pieces)), float(mean), rel_tol=1e-3)
    findings.count("transformers wrong: num_items_in_batch is ignored", int(wrong))


def test_positions_of_a_fresh_model_are_the_sinusoids(findings):
    """A model made from a config: transformers starts the fixed positions at random, we at Whisper's, scaled."""
    config = presets.tiny()
    expected = whisper_sinusoids(config.encoder.max_source_positions, config.encoder.d_model)
    torch.testing.assert_close(sinusoids(*expected.shape), expected, rtol=0, atol=1e-5)
    fresh = Qwen2Audio(config)
    fresh.init_weights(torch.Generator().manual_seed(0))
    ours = fresh.audio_encoder.embed_positions.weight
    torch.testing.assert_close(ours.detach(), POSITION_GAIN * expected, rtol=0, atol=1e-5)
    assert not ours.requires_grad
    theirs = Qwen2AudioForConditionalGeneration(Qwen2AudioConfig.from_dict(config_to_hf(config)))
    found = theirs.model.audio_tower.embed_positions.weight.detach().flatten()
    likeness = torch.corrcoef(torch.stack([found, expected.flatten()]))[0, 1]
    findings.count("transformers wrong: positions of a fresh model are random", int(likeness < 0.9))


def gradient(model: Qwen2Audio, loss: torch.Tensor) -> torch.Tensor:
    """All gradients in one vector."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.cat(
        [g.flatten() for g in torch.autograd.grad(loss, parameters, retain_graph=True)]
    )
