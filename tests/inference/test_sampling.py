"""Settings that are checked, defaults that are transformers', and draws that follow their distribution."""

import math

import pytest
import torch

from q2a_core.errors import ChatError
from q2a_core.inference import GenerationSettings
from q2a_core.inference.sampling import (
    DEFAULT_NEW_TOKENS,
    keep_top_k,
    keep_top_p,
    next_tokens,
    penalise_repetition,
    unsupported_settings,
)

LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0, -30.0]])


def draws(settings: GenerationSettings, *, seed: int, count: int = 4000) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return next_tokens(LOGITS.expand(count, -1), settings, rng)


def test_greedy_is_the_best_and_needs_no_generator():
    assert next_tokens(LOGITS, GenerationSettings(), None).tolist() == [0]


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({"temperature": 1.0}, [0, 1, 2, 3]),
        ({"temperature": 0.5}, [0, 1, 2, 3]),
        ({"temperature": 1.0, "top_k": 2}, [0, 1]),
        ({"temperature": 1.0, "top_k": 1}, [0]),
        ({"temperature": 1.0, "top_p": 0.7}, [0, 1]),
        ({"temperature": 1.0, "top_p": 0.01}, [0]),
        ({"temperature": 1.0, "top_k": 3, "top_p": 0.99}, [0, 1, 2]),
    ],
    ids=str,
)
def test_draws_follow_the_distribution(settings, allowed):
    """Frequencies of 4,000 draws within five standard errors of softmax(logits / temperature) over what is allowed."""
    chosen = GenerationSettings(**settings)
    counts = draws(chosen, seed=1).bincount(minlength=5)
    weights = (LOGITS[0, allowed] / chosen.temperature).softmax(-1)
    assert int(counts[allowed].sum()) == 4000
    for token, probability in zip(allowed, weights.tolist(), strict=True):
        error = math.sqrt(probability * (1 - probability) / 4000)
        assert abs(int(counts[token]) / 4000 - probability) <= 5 * error + 1e-9


@pytest.mark.parametrize(("top_p", "ties"), [(1.0, False), (0.6, False), (1.0, True)])
def test_the_few_that_are_drawn_from_are_those_of_the_filters(top_p, ties):
    """Of a large vocabulary only the best are drawn from; a tie at the k-th place is kept, as transformers keeps it."""
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(3, 400, generator=generator)
    if ties:
        logits = logits.round()
    kept = keep_top_p(keep_top_k(logits, 5), top_p).softmax(-1)
    settings = GenerationSettings(temperature=1.0, top_k=5, top_p=top_p)
    counts = torch.zeros_like(kept)
    for _ in range(600):
        drawn = next_tokens(logits, settings, generator)
        counts[torch.arange(3), drawn] += 1
    assert ((counts > 0) <= (kept > 0)).all()
    assert torch.allclose(counts / 600, kept, atol=0.08)


def test_a_seed_repeats_and_another_does_not():
    warm = GenerationSettings(temperature=1.0)
    assert torch.equal(draws(warm, seed=3), draws(warm, seed=3))
    assert not torch.equal(draws(warm, seed=3), draws(warm, seed=4))


def test_drawing_leaves_the_global_generator_alone():
    before = torch.get_rng_state().clone()
    draws(GenerationSettings(temperature=1.0), seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_cold_is_nearly_greedy():
    assert set(draws(GenerationSettings(temperature=1e-3), seed=0, count=50).tolist()) == {0}


def test_filters_keep_at_least_the_best():
    flat = torch.zeros(1, 6)
    assert keep_top_p(flat, 1e-9).isfinite().sum() == 1
    assert keep_top_k(LOGITS, 1).isfinite().sum() == 1
    assert keep_top_k(LOGITS, 0) is LOGITS
    assert keep_top_p(LOGITS, 1.0) is LOGITS


def test_penalty_moves_both_signs_down():
    seen = torch.tensor([[True, False, False, True, False]])
    penalised = penalise_repetition(LOGITS, seen, 2.0)
    assert penalised.tolist() == [[1.0, 1.0, 0.0, -2.0, -30.0]]
    assert penalise_repetition(LOGITS, seen, 1.0) is LOGITS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", 0),
        ("max_new_tokens", -5),
        ("max_new_tokens", 2.5),
        ("max_new_tokens", "10"),
        ("min_new_tokens", -1),
        ("temperature", -0.1),
        ("temperature", 1e-40),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", "hot"),
        ("top_k", -1),
        ("top_k", 1.5),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_p", math.nan),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", -1),
        ("repetition_penalty", 1e-40),
        ("repetition_penalty", [1.1]),
        ("temperature", True),
    ],
)
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(ChatError, match=f"{name} is .*; expected "):
        GenerationSettings(**{name: value})


@pytest.mark.parametrize("eos", ["<|im_end|>", [1, "a"], {"a": 1}, [None], 1.5], ids=str)
def test_stop_tokens_must_be_ids(eos):
    with pytest.raises(ChatError, match="eos_token_id"):
        GenerationSettings.from_generation_config({"eos_token_id": eos})


def test_defaults_of_a_checkpoint_that_says_nothing():
    settings = GenerationSettings.from_generation_config({})
    assert settings == GenerationSettings(max_new_tokens=DEFAULT_NEW_TOKENS)
    assert settings.temperature == 0
    assert settings.stop_ids == ()


def test_a_checkpoints_own_settings_and_what_the_caller_puts_in_their_place():
    values = {
        "do_sample": True,
        "temperature": 0.7,
        "top_k": 20,
        "top_p": 0.5,
        "repetition_penalty": 1.1,
        "eos_token_id": [151643, 151645],
        "max_new_tokens": None,
    }
    settings = GenerationSettings.from_generation_config(values)
    assert (settings.temperature, settings.top_k, settings.top_p) == (0.7, 20, 0.5)
    assert settings.repetition_penalty == 1.1
    assert settings.stop_ids == (151643, 151645)
    greedy = GenerationSettings.from_generation_config(values, temperature=0.0, top_k=None)
    assert (greedy.temperature, greedy.top_k, greedy.repetition_penalty) == (0.0, 20, 1.1)


def test_temperature_counts_only_when_sampling():
    assert GenerationSettings.from_generation_config({"temperature": 0.7}).temperature == 0
    assert GenerationSettings.from_generation_config({"do_sample": True}).temperature == 1.0
    assert GenerationSettings.from_generation_config({"do_sample": True}).top_k == 50
    cold = GenerationSettings.from_generation_config({"do_sample": True, "temperature": 0.0})
    assert cold.temperature == 0


def test_max_length_counts_the_prompt():
    values = {"max_length": 100}
    limit = GenerationSettings.from_generation_config
    assert limit(values, prompt_length=80).max_new_tokens == 20
    assert limit(values, prompt_length=200).max_new_tokens == 1
    assert limit(values | {"max_new_tokens": 7}, prompt_length=80).max_new_tokens == 7
    assert limit(values, prompt_length=80, max_new_tokens=3).max_new_tokens == 3


def test_what_is_not_implemented_is_named():
    values = {"num_beams": 4, "no_repeat_ngram_size": 3, "typical_p": 1.0, "temperature": 0.5}
    assert unsupported_settings(values) == ["num_beams=4", "no_repeat_ngram_size=3"]
    assert unsupported_settings({"encoder_no_repeat_ngram_size": 2}) == [
        "encoder_no_repeat_ngram_size=2"
    ]
    assert unsupported_settings({"num_beams": 1, "min_p": None}) == []
    mark = {"watermarking_config": {"bias": 2.5}, "max_time": 1.5}
    assert unsupported_settings(mark) == ["max_time=1.5", "watermarking_config={'bias': 2.5}"]


def test_what_is_empty_or_of_no_effect_is_not_named():
    inert = ("suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "stop_strings")
    assert unsupported_settings({name: [] for name in inert} | {"guidance_scale": 1.0}) == []
    assert unsupported_settings({"suppress_tokens": [5]}) == ["suppress_tokens=[5]"]
    assert unsupported_settings({"min_p": 0.0, "penalty_alpha": 0}) == []
    assert unsupported_settings({"min_p": 0.05}) == ["min_p=0.05"]


@pytest.mark.parametrize("value", ["false", "true", 1, []], ids=repr)
def test_sampling_is_true_or_false(value):
    with pytest.raises(ChatError, match=r"do_sample is .*; expected true or false"):
        GenerationSettings.from_generation_config({"do_sample": value})
