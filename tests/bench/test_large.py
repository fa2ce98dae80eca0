"""The bench of the real size, run on a small shape: the same tensors on both sides, and nothing timed that is wrong."""

import json

import pytest
import torch

from q2a_core import presets
from q2a_core.bench import large, large_sides
from q2a_core.bench.everything import run_bench
from q2a_core.bench.large import run_large, to_markdown
from q2a_core.bench.large_sides import random_model, share_weights
from q2a_core.errors import Q2AError

pytest.importorskip("transformers")
CPU = {"device": "cpu", "dtype": torch.float32, "repeats": 1, "new_tokens": 4}


@pytest.fixture(scope="module")
def report():
    return run_large(presets.tiny(), **CPU)


def test_both_sides_compute_the_same_and_are_timed(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["gate"]["logits"] < 1e-4
    names = [row["name"] for row in report["rows"]]
    assert names[:2] == ["large_first_token", "large_decode_eager"]
    assert all(row["ours"] > 0 and row["other"] > 0 for row in report["rows"])
    assert report["memory"] is None
    model = random_model(presets.tiny(), device=torch.device("cpu"), dtype=torch.float32)
    decoder = sum(p.numel() * 4 for p in model.decoder.parameters())
    embeddings = model.decoder.embed_tokens.weight.numel() * 4
    assert report["bandwidth"]["bytes_per_token"] == decoder - embeddings
    table = to_markdown(report)
    assert "transformers, as it comes" in table
    assert "Decoding reaches" in table


def test_the_tensors_are_shared_and_not_copied():
    from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

    from q2a_core.config import config_to_hf

    config = presets.tiny()
    model = random_model(config, device=torch.device("cpu"), dtype=torch.float32)
    theirs = Qwen2AudioForConditionalGeneration(Qwen2AudioConfig(**config_to_hf(config)))
    share_weights(model, theirs)
    ours = {parameter.data_ptr() for parameter in model.parameters()}
    assert {parameter.data_ptr() for parameter in theirs.parameters()} == ours
    other = random_model(
        presets.tiny(vocab_size=384), device=torch.device("cpu"), dtype=torch.float32
    )
    with pytest.raises(Q2AError, match="has no counterpart"):
        share_weights(other, theirs)


def test_nothing_is_timed_that_differs(monkeypatch):
    right = large_sides.share_weights

    def wrong(model, theirs):
        right(model, theirs)
        with torch.no_grad():
            theirs.get_output_embeddings().weight = torch.nn.Parameter(
                model.decoder.lm_head.weight * 1.5
            )

    monkeypatch.setattr(large_sides, "share_weights", wrong)
    with pytest.raises(Q2AError, match="nothing was timed: the logits are"):
        run_large(presets.tiny(), **CPU)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing where there is no GPU")
def test_without_a_gpu_it_is_told_and_not_measured():
    with pytest.raises(Q2AError, match="needs a CUDA device"):
        run_large()
    found = run_bench(only=["large"])
    assert found == {"large": {"not_measured": large.NEEDS}}
    assert "not measured" in to_markdown(found["large"])
