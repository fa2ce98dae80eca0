"""The decoding loop: what it yields, when it stops, and that it repeats."""

import pytest
import torch

from q2a_core import Qwen2Audio, presets
from q2a_core.inference import GenerationSettings, generate, generate_steps
from q2a_core.lengths import audio_tokens

AUDIO = 3


@pytest.fixture(scope="module")
def model() -> Qwen2Audio:
    model = Qwen2Audio(presets.tiny()).eval()
    model.init_weights(torch.Generator().manual_seed(0))
    return model


def prompt(batch: int = 1, length: int = 12, seed: int = 1) -> torch.Tensor:
    return torch.randint(4, 320, (batch, length), generator=torch.Generator().manual_seed(seed))


def warm(**options) -> GenerationSettings:
    return GenerationSettings(max_new_tokens=12, temperature=1.5, top_k=0, **options)


def test_greedy_equals_the_full_pass_at_every_step(model):
    """No cache, no loop: the best token after everything so far."""
    ids = prompt()
    reply = generate(model, ids, settings=GenerationSettings(max_new_tokens=10))
    for step in range(10):
        sofar = torch.cat([ids, torch.tensor([reply.token_ids[0][:step]]).long()], dim=1)
        with torch.inference_mode():
            logits = model(sofar).logits[0, -1]
        assert reply.token_ids[0][step] == int(logits.argmax())
        assert abs(reply.logps[0][step] - float(logits.log_softmax(-1).max())) < 1e-4


@pytest.mark.parametrize("backend", ["auto", "sdpa", "reference"])
@pytest.mark.parametrize("padded", [False, True])
def test_under_autocast_it_says_what_it_says_within_rounding(model, padded, backend):
    """Queries come in bfloat16, keys and values from a cache in fp32."""
    ids = prompt(batch=2)
    mask = torch.ones_like(ids)
    mask[0, :5] = 0 if padded else 1
    settings = GenerationSettings(max_new_tokens=6)
    expected = generate(model, ids, attention_mask=mask, settings=settings)
    model.set_backend(backend)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = generate(model, ids, attention_mask=mask, settings=settings)
    finally:
        model.set_backend("auto")
    for ours, theirs in zip(found.logps, expected.logps, strict=True):
        assert ours[0] == pytest.approx(theirs[0], abs=0.05)
        assert len(ours) == len(theirs)


@pytest.mark.parametrize("backend", ["auto", "sdpa"])
@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.bool, torch.float32], ids=str)
def test_a_mask_says_what_is_there_and_ids_may_be_of_any_whole_type(model, dtype, backend):
    ids = prompt(batch=2)
    mask = torch.ones_like(ids)
    mask[0, :5] = 0
    settings = GenerationSettings(max_new_tokens=8, repetition_penalty=1.3)
    expected = generate(model, ids, attention_mask=mask, settings=settings)
    model.set_backend(backend)
    try:
        found = generate(model, ids.int(), attention_mask=(2 * mask).to(dtype), settings=settings)
    finally:
        model.set_backend("auto")
    assert found.token_ids == expected.token_ids
    for ours, theirs in zip(found.logps, expected.logps, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool], ids=str)
def test_ids_are_whole_numbers(model, dtype):
    with pytest.raises(ValueError, match=rf"input_ids is of {dtype}; expected whole numbers"):
        generate(model, prompt().to(dtype), settings=GenerationSettings(max_new_tokens=2))


def test_clips_as_mel_or_encoded_give_the_same_reply(model):
    rng = torch.Generator().manual_seed(2)
    mel, mel_lengths = torch.randn(1, 128, 101, generator=rng), torch.tensor([100])
    ids = torch.tensor([[5, *[AUDIO] * audio_tokens(100), 6]])
    settings = GenerationSettings(max_new_tokens=8)
    with torch.inference_mode():
        embeds = model.encode_audio(mel, mel_lengths)
    first = generate(model, ids, settings=settings, mel=mel, mel_lengths=mel_lengths)
    assert first == generate(model, ids, settings=settings, audio_embeds=embeds)
    assert first != generate(model, ids, settings=settings, audio_embeds=-embeds)


def test_seeds_repeat_and_differ(model):
    ids = prompt()

    def reply(seed: int) -> list[list[int]]:
        rng = torch.Generator().manual_seed(seed)
        return generate(model, ids, settings=warm(), generator=rng).token_ids

    assert reply(1) == reply(1)
    assert len({tuple(reply(seed)[0]) for seed in range(5)}) > 1


def test_probabilities_are_the_models_own_whatever_is_drawn_from(model):
    """Neither temperature nor penalty changes what the model thinks of the token that was drawn."""
    ids = prompt()
    settings = warm(repetition_penalty=1.5)
    rng = torch.Generator().manual_seed(0)
    reply = generate(model, ids, settings=settings, generator=rng)
    with torch.inference_mode():
        whole = torch.cat([ids, torch.tensor(reply.token_ids)], dim=1)
        logps = model(whole).logits[0, ids.shape[1] - 1 : -1].log_softmax(-1)
    expected = logps.gather(-1, torch.tensor(reply.token_ids[0])[:, None])[:, 0]
    assert reply.logps[0] == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_step_yields_one_token_and_its_probability_per_row(model):
    steps = list(generate_steps(model, prompt(3), settings=GenerationSettings(max_new_tokens=5)))
    assert len(steps) == 5
    for tokens, logps in steps:
        assert len(tokens) == len(logps) == 3
        assert all(isinstance(token, int) for token in tokens)
        assert all(logp <= 0 for logp in logps)


def test_a_row_that_has_stopped_repeats_its_stop_token_and_adds_nothing(model):
    ids = prompt(3)
    free = generate(model, ids, settings=GenerationSettings(max_new_tokens=12)).token_ids
    stop = free[0][2]
    settings = GenerationSettings(max_new_tokens=12, stop_ids=(stop,))
    steps = [tokens for tokens, _ in generate_steps(model, ids, settings=settings)]
    ended = next(step for step, tokens in enumerate(steps) if tokens[0] == stop)
    assert ended <= 2
    assert all(tokens[0] == stop for tokens in steps[ended:])
    replies = generate(model, ids, settings=settings).token_ids
    for row in range(3):
        expected = free[row][: free[row].index(stop)] if stop in free[row] else free[row]
        assert replies[row] == expected


def test_it_ends_as_soon_as_every_row_has(model):
    ids = prompt()
    first = generate(model, ids, settings=GenerationSettings(max_new_tokens=1)).token_ids[0][0]
    settings = GenerationSettings(max_new_tokens=50, stop_ids=(first,))
    assert len(list(generate_steps(model, ids, settings=settings))) == 1


def test_stop_ids_of_a_larger_vocabulary_do_no_harm(model):
    """A generation_config copied from the 7B: its stop ids exist in no tiny vocabulary."""
    settings = GenerationSettings(max_new_tokens=4, min_new_tokens=2, stop_ids=(151_645, -1))
    assert len(generate(model, prompt(), settings=settings).token_ids[0]) == 4


def test_the_caller_may_stop_listening(model):
    steps = generate_steps(model, prompt(), settings=GenerationSettings(max_new_tokens=50))
    next(steps)
    steps.close()
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("dtype", [torch.bool, torch.long, torch.float32], ids=str)
def test_masks_of_any_type(model, dtype):
    ids = prompt(2)
    mask = torch.ones(2, 12)
    mask[0, :4] = 0
    settings = GenerationSettings(max_new_tokens=6)
    padded = generate(model, ids, attention_mask=mask.to(dtype), settings=settings).token_ids
    assert padded[0] == generate(model, ids[:1, 4:], settings=settings).token_ids[0]
    assert padded[1] == generate(model, ids[1:], settings=settings).token_ids[0]


def test_a_mask_of_ones_is_no_mask(model):
    ids, settings = prompt(2), GenerationSettings(max_new_tokens=6)
    masked = generate(model, ids, attention_mask=torch.ones(2, 12), settings=settings)
    assert masked == generate(model, ids, settings=settings)


def test_repetition_penalty_ignores_padding(model):
    """The padding's id was never said; a padded row answers as it does alone, also under a strong penalty."""
    settings = GenerationSettings(max_new_tokens=10, repetition_penalty=5.0)
    ids = prompt(2)
    favourite = generate(model, ids[:1, 4:], settings=settings).token_ids[0][0]
    ids[0, :4] = favourite
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[0, :4] = 0
    padded = generate(model, ids, attention_mask=mask, settings=settings).token_ids
    assert padded[0] == generate(model, ids[:1, 4:], settings=settings).token_ids[0]
    assert padded[0][0] == favourite


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        ([[1, 1, 1, 1], [1, 1, 0, 0]], "ends in padding.*pad prompts on the left"),
        ([[1, 1, 1], [1, 1, 1]], r"has shape \(2, 3\); expected that of input_ids, \(2, 4\)"),
    ],
    ids=["right", "narrow"],
)
def test_a_mask_that_does_not_fit_is_refused_before_the_first_token(model, mask, says):
    settings = GenerationSettings(max_new_tokens=1)
    with pytest.raises(ValueError, match=says):
        generate(model, prompt(2, 4), attention_mask=torch.tensor(mask), settings=settings)


def test_a_prompt_without_tokens_is_refused(model):
    with pytest.raises(ValueError, match="at least one token each"):
        generate(model, prompt(1, 0), settings=GenerationSettings())


def test_rows_that_end_at_different_steps_say_what_they_say_alone(model):
    ids = prompt(4, 9, seed=5)
    long = GenerationSettings(max_new_tokens=12)
    alone = [generate(model, row[None], settings=long).token_ids[0] for row in ids]
    stop = alone[0][3]
    settings = GenerationSettings(max_new_tokens=12, stop_ids=(stop,))
    together = generate(model, ids, settings=settings).token_ids
    assert len(together[0]) == alone[0].index(stop)
    for mine, whole in zip(together, alone, strict=True):
        assert mine == (whole[: whole.index(stop)] if stop in whole else whole)
