"""Decoding beside transformers' `generate`: penalties, stop tokens, minimum lengths, filters, batches."""

import numpy as np
import pytest
import torch
from transformers import GenerationConfig
from transformers.generation.logits_process import (
    MinNewTokensLengthLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from parity.oracle import greedy, random_model, stack_rows, twin
from q2a_core import presets
from q2a_core.inference import GenerationSettings, generate
from q2a_core.inference.sampling import keep_top_k, keep_top_p, penalise_repetition
from q2a_core.lengths import audio_tokens


@pytest.fixture(scope="module")
def model():
    return random_model(presets.tiny(vocab_size=320), 11)


@pytest.fixture(scope="module")
def theirs(model):
    return twin(model)


def one_row(seed: int):
    return ragged([seed], clips=1)


def ragged(seeds: list[int], *, clips: int):
    """Dialogues of unequal length, left-padded; the same seed gives the same dialogue alone and in a batch."""
    rows, mels, lengths = [], [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        row: list[int] = []
        for _ in range(clips):
            frames = int(rng.integers(20, 400))
            row += rng.integers(4, 320, size=rng.integers(1, 9)).tolist()
            row += [3] * audio_tokens(frames)
            lengths.append(frames)
            mels.append(torch.tensor(rng.normal(0, 0.7, size=(128, 500)), dtype=torch.float32))
        rows.append(row + rng.integers(4, 320, size=5).tolist())
    labels = [[-100] * len(row) for row in rows]
    return stack_rows(
        rows, labels, side="left", mel=torch.stack(mels), mel_lengths=torch.tensor(lengths)
    )


@pytest.mark.parametrize("penalty", [1.05, 1.1, 1.5, 0.8])
def test_repetition_penalty_also_when_greedy(penalty, model, theirs, findings):
    for seed in range(3):
        batch = one_row(seed)
        expected = greedy(theirs, batch, new_tokens=24, repetition_penalty=penalty)
        settings = GenerationSettings(max_new_tokens=24, repetition_penalty=penalty)
        reply = generate(model, **batch.ours, settings=settings).token_ids
        assert reply == expected
        assert (
            reply
            != generate(
                model, **batch.ours, settings=GenerationSettings(max_new_tokens=24)
            ).token_ids
        )
        findings.count("greedy tokens compared, all equal", 24)


def test_stop_tokens_as_a_number_and_as_a_list(model, theirs, findings):
    """A row ends at the first of its stop tokens, and the others go on."""
    batch = ragged([0, 1, 2], clips=1)
    free = greedy(theirs, batch, new_tokens=24)
    stop = sorted({free[0][5], free[1][11]})
    for eos in (stop, stop[0]):
        expected = greedy(theirs, batch, new_tokens=24, eos_token_id=eos)
        settings = GenerationSettings.from_generation_config(
            {"eos_token_id": eos, "max_new_tokens": 24}
        )
        replies = generate(model, **batch.ours, settings=settings)
        for ours, padded in zip(replies.token_ids, expected, strict=True):
            ends = [step for step, token in enumerate(padded) if token in settings.stop_ids]
            assert ours == (padded[: ends[0]] if ends else padded)
            findings.count("greedy tokens compared, all equal", len(ours))
        assert len({len(reply) for reply in replies.token_ids}) > 1
        assert [len(logps) for logps in replies.logps] == list(map(len, replies.token_ids))


def test_min_new_tokens_holds_the_stop_token_back(model, theirs):
    batch = one_row(0)
    stop = greedy(theirs, batch, new_tokens=1)[0]
    for minimum in (1, 2, 7):
        expected = greedy(theirs, batch, new_tokens=16, eos_token_id=stop, min_new_tokens=minimum)[
            0
        ]
        settings = GenerationSettings(
            max_new_tokens=16, stop_ids=tuple(stop), min_new_tokens=minimum
        )
        reply = generate(model, **batch.ours, settings=settings).token_ids[0]
        assert len(reply) >= minimum
        assert reply == (expected[:-1] if expected[-1] in stop else expected)
    at_once = GenerationSettings(max_new_tokens=16, stop_ids=tuple(stop))
    assert generate(model, **batch.ours, settings=at_once).token_ids == [[]]


@pytest.mark.parametrize("clips", [1, 2])
def test_a_left_padded_batch_answers_as_its_rows_do_alone(clips, model, theirs, findings):
    seeds = [3, 4, 5, 6]
    settings = GenerationSettings(max_new_tokens=24, repetition_penalty=1.2)
    together = generate(model, **ragged(seeds, clips=clips).ours, settings=settings)
    for row, seed in enumerate(seeds):
        alone = ragged([seed], clips=clips)
        reply = generate(model, **alone.ours, settings=settings)
        assert together.token_ids[row] == reply.token_ids[0]
        difference = np.abs(np.subtract(together.logps[row], reply.logps[0])).max()
        assert findings.difference("log-probabilities, batch and alone", difference) < 2e-4
        assert reply.token_ids == greedy(theirs, alone, new_tokens=24, repetition_penalty=1.2)


def test_log_probabilities_are_the_models_own(model, theirs, findings):
    """Before penalty, as transformers' `output_logits` gives them."""
    batch = one_row(9)
    generated = theirs.generate(
        **batch.theirs,
        generation_config=GenerationConfig(
            do_sample=False,
            max_new_tokens=12,
            repetition_penalty=1.3,
            return_dict_in_generate=True,
            output_logits=True,
        ),
    )
    tokens = generated.sequences[0, batch.input_ids.shape[1] :]
    expected = torch.stack(generated.logits)[:, 0].log_softmax(-1)
    settings = GenerationSettings(max_new_tokens=12, repetition_penalty=1.3)
    reply = generate(model, **batch.ours, settings=settings)
    assert reply.token_ids[0] == tokens.tolist()
    difference = torch.tensor(reply.logps[0]) - expected.gather(-1, tokens[:, None])[:, 0]
    assert findings.difference("log-probabilities", difference.abs().max().item()) < 2e-4


@pytest.fixture
def logits() -> torch.Tensor:
    """Sharp and flat rows, ties among them."""
    rng = torch.Generator().manual_seed(4)
    values = torch.randn(40, 200, generator=rng) * torch.logspace(-1, 1, 40)[:, None]
    values[7, 20:60] = values[7, 10]
    values[9] = 0.5
    return values


@pytest.mark.parametrize("k", [1, 2, 20, 50, 199, 200, 500])
def test_top_k(k, logits):
    assert torch.equal(keep_top_k(logits, k), TopKLogitsWarper(top_k=k)(None, logits))


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.8, 0.95, 0.999, 1.0])
def test_top_p(p, logits):
    assert torch.equal(keep_top_p(logits, p), TopPLogitsWarper(top_p=p)(None, logits))


@pytest.mark.parametrize("penalty", [0.5, 1.0, 1.1, 2.0])
def test_repetition_penalty_on_random_logits(penalty, logits):
    rng = torch.Generator().manual_seed(5)
    ids = torch.randint(0, 200, (40, 30), generator=rng)
    seen = torch.zeros(40, 200, dtype=torch.bool).scatter_(-1, ids, True)
    expected = RepetitionPenaltyLogitsProcessor(penalty)(ids, logits)
    assert torch.equal(penalise_repetition(logits, seen, penalty), expected)


def test_the_whole_chain_gives_transformers_distribution(logits):
    """Penalty, minimum length, temperature, top-k, top-p, in this order, as in the Instruct model's settings."""
    ids = torch.arange(40)[:, None].expand(-1, 8).contiguous()
    expected = RepetitionPenaltyLogitsProcessor(1.1)(ids, logits)
    expected = MinNewTokensLengthLogitsProcessor(8, 2, 17)(ids, expected)
    expected = TemperatureLogitsWarper(0.7)(ids, expected)
    expected = TopPLogitsWarper(0.5)(ids, TopKLogitsWarper(20)(ids, expected)).softmax(-1)
    seen = torch.zeros(40, 200, dtype=torch.bool).scatter_(-1, ids, True)
    scores = penalise_repetition(logits, seen, 1.1).index_fill(-1, torch.tensor([17]), -torch.inf)
    ours = keep_top_p(keep_top_k(scores / 0.7, 20), 0.5).softmax(-1)
    assert torch.equal(ours, expected)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"do_sample": True},
        {"do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.5},
        {"do_sample": False, "repetition_penalty": 1.1},
        {"do_sample": True, "top_k": 0},
        {"do_sample": True, "temperature": 1.0, "top_p": 1.0},
    ],
    ids=str,
)
def test_settings_mean_what_transformers_makes_of_them(values, model, theirs):
    """The logits processors that `generate` builds from a generation_config, applied to ours and compared."""
    prepared, _ = theirs._prepare_generation_config(GenerationConfig(**values))
    settings = GenerationSettings.from_generation_config(values)
    assert (settings.temperature > 0) == bool(prepared.do_sample)
    if prepared.do_sample:
        assert settings.temperature == prepared.temperature
        assert settings.top_k == (prepared.top_k or 0)
        assert settings.top_p == prepared.top_p
    assert settings.repetition_penalty == prepared.repetition_penalty
