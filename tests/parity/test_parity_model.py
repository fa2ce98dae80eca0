"""Sixty-four random small models beside transformers' with the same weights: encoder, projector, logits, loss, text."""

import numpy as np
import pytest
import torch

from parity.oracle import TIE, Batch, greedy, random_model, stack_rows, twin
from q2a_core import lengths
from q2a_core.config import DecoderConfig, EncoderConfig, ModelConfig
from q2a_core.inference import GenerationSettings, generate
from q2a_core.model import Qwen2Audio
from q2a_core.model.layers import RMSNorm

NEW_TOKENS = 40
AUDIO_TOKEN_ID = 3


def random_config(rng: np.random.Generator) -> ModelConfig:
    """Widths, heads, grouped queries or not, depth, and a window of 2 to 30 s."""
    encoder_heads, heads = int(rng.integers(1, 4)), int(rng.choice([1, 2, 4, 6]))
    kv_heads = int(rng.choice([n for n in (1, 2, 3, 4, 6) if heads % n == 0]))
    seconds = int(rng.choice([2, 2, 3, 3, 5, 5, 8, 12, 20, 30]))
    return ModelConfig(
        encoder=EncoderConfig(
            num_mel_bins=int(rng.choice([32, 80, 128])),
            d_model=encoder_heads * int(rng.choice([4, 8, 16])),
            num_layers=int(rng.integers(1, 4)),
            num_heads=encoder_heads,
            d_ff=int(rng.choice([16, 48, 96])),
            max_source_positions=50 * seconds,
        ),
        decoder=DecoderConfig(
            vocab_size=int(rng.integers(40, 400)),
            d_model=heads * int(rng.choice([4, 8, 16])),
            num_layers=int(rng.integers(1, 4)),
            num_heads=heads,
            num_kv_heads=kv_heads,
            d_ff=int(rng.choice([16, 48, 96])),
            max_positions=4096,
            rope_theta=float(rng.choice([1e3, 1e4, 1e6])),
            rms_norm_eps=float(rng.choice([1e-6, 1e-5])),
        ),
        audio_token_id=AUDIO_TOKEN_ID,
    )


def random_batch(config: ModelConfig, rng: np.random.Generator, *, side: str) -> Batch:
    """One to four dialogues of unequal length with one or two clips each; a window-long and a short clip among them."""
    window = config.encoder.max_mel_frames
    clips = [int(rng.integers(1, 3)) for _ in range(int(rng.integers(1, 5)))]
    mel_lengths = rng.integers(3, max(window // 3, 8), size=sum(clips))
    mel_lengths[0] = max(mel_lengths[0], 9)  # transformers misreads a batch of one-token clips
    if rng.random() < 0.4:
        mel_lengths[-1] = window - int(rng.integers(0, 3))
    mel = rng.normal(0.0, 0.7, size=(len(mel_lengths), config.encoder.num_mel_bins, window))
    counts = iter(lengths.audio_tokens(mel_lengths).tolist())

    def text(longest: int) -> list[int]:
        return rng.integers(4, config.decoder.vocab_size, size=rng.integers(1, longest)).tolist()

    rows, labels = [], []
    for number in clips:
        row: list[int] = []
        for _ in range(number):
            row += text(6) + [AUDIO_TOKEN_ID] * next(counts)
        answer = text(12)
        rows.append([*row, *text(8), *answer])
        labels.append([-100] * (len(rows[-1]) - len(answer)) + answer)
    return stack_rows(
        rows,
        labels,
        side=side,
        mel=torch.tensor(mel, dtype=torch.float32),
        mel_lengths=torch.tensor(mel_lengths),
    )


def first_tie(model: Qwen2Audio, batch: Batch, row: int, reply: list[int]) -> int | None:
    """The first step of `reply` at which our two best logits are closer than TIE; None if every step is clear."""
    prompt = batch.input_ids.shape[1]
    ids = torch.cat([batch.input_ids, torch.zeros(len(batch.input_ids), len(reply)).long()], dim=1)
    ids[row, prompt:] = torch.tensor(reply)
    mask = torch.cat([batch.attention_mask, torch.ones_like(ids[:, prompt:])], dim=1)
    with torch.inference_mode():
        logits = model(**batch.ours | {"input_ids": ids, "attention_mask": mask}).logits[row]
    best = logits[prompt - 1 : -1].topk(2, dim=-1).values
    close = (best[:, 0] - best[:, 1] < TIE).nonzero().flatten().tolist()
    return close[0] if close else None


@pytest.mark.parametrize("seed", range(64))
def test_same_numbers_and_same_text(seed, findings):
    rng = np.random.default_rng([2407, 10759, seed])
    config = random_config(rng)
    model = random_model(config, seed)
    theirs = twin(model)
    batch = random_batch(config, rng, side="left" if seed % 2 else "right")
    check_encoder(model, theirs, batch, findings)
    valid = batch.attention_mask.bool()
    with torch.inference_mode():
        expected = theirs(**batch.theirs, labels=batch.labels)
        output = model(**batch.ours, labels=batch.labels)
    logits = (output.logits - expected.logits)[valid].abs().max().item()
    assert findings.difference("logits", logits) < 2e-4
    assert output.loss is not None
    loss = abs(output.loss.item() / expected.loss.item() - 1)
    assert findings.difference("loss, relative", loss) < 1e-5
    if seed % 2 == 0:  # generation wants its rows padded on the left
        batch = random_batch(config, rng, side="left")
    check_text(model, theirs, batch, findings)


def check_encoder(model: Qwen2Audio, theirs, batch: Batch, findings) -> None:
    with torch.inference_mode():
        expected = theirs.model.audio_tower(batch.mel, attention_mask=encoder_mask(batch))
        expected_tokens = expected.last_hidden_state
        expected_embeds = theirs.model.multi_modal_projector(expected_tokens)
        tokens = model.audio_encoder(batch.ours["mel"], batch.mel_lengths)
        embeds = model.projector(tokens)
    for clip, count in enumerate(lengths.audio_tokens(batch.mel_lengths).tolist()):
        encoder = (tokens - expected_tokens[:, : tokens.shape[1]])[clip, :count].abs().max().item()
        assert findings.difference("encoder output", encoder) < 2e-4
        projector = (embeds - expected_embeds[:, : embeds.shape[1]])[clip, :count]
        assert findings.difference("projector output", projector.abs().max().item()) < 2e-4


def check_text(model: Qwen2Audio, theirs, batch: Batch, findings) -> None:
    expected = greedy(theirs, batch, new_tokens=NEW_TOKENS)
    settings = GenerationSettings(max_new_tokens=NEW_TOKENS)
    replies = generate(model, **batch.ours, settings=settings).token_ids
    for row, (reply, expected_reply) in enumerate(zip(replies, expected, strict=True)):
        assert len(reply) == NEW_TOKENS
        counted = NEW_TOKENS
        if reply != expected_reply:
            tie = first_tie(model, batch, row, expected_reply)
            assert tie is not None, f"row {row} differs though every choice is clear"
            assert reply[:tie] == expected_reply[:tie]
            counted = tie
        findings.count("greedy tokens compared, all equal", counted)
        findings.count("greedy tokens not counted, after a tie within 1e-4", NEW_TOKENS - counted)


def encoder_mask(batch: Batch) -> torch.Tensor:
    """Which encoder frames may be attended to, (N, 1, E, E): the valid ones of each clip."""
    frames = lengths.encoder_frames(batch.mel.shape[2])
    valid = torch.arange(frames) < lengths.encoder_frames(batch.mel_lengths)[:, None]
    return valid[:, None, None, :].expand(-1, 1, frames, -1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_norm_rounds_where_transformers_rounds(dtype):
    from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

    rng = torch.Generator().manual_seed(0)
    x = (torch.randn(64, 32, generator=rng) * torch.logspace(-4, 1, 64)[:, None]).to(dtype)
    ours, theirs = RMSNorm(32, 1e-6).to(dtype), Qwen2RMSNorm(32, 1e-6).to(dtype)
    weight = torch.randn(32, generator=rng).to(dtype)
    ours.weight.data, theirs.weight.data = weight, weight
    expected = theirs(x)
    # in fp32 torch has a kernel of its own
    tolerance = 1e-5 if dtype == torch.float32 else 0.0
    torch.testing.assert_close(ours(x), expected, rtol=tolerance, atol=0)
