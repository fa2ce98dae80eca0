"""The bench of the real size, run on a small shape: the same tensors on both sides, and nothing timed that is wrong."""

import json
from dataclasses import replace
from itertools import accumulate

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from q2a_core import presets
from q2a_core.bench import everything, large, large_sides
from q2a_core.bench.everything import run_bench
from q2a_core.bench.large import run_large, to_markdown
from q2a_core.bench.large_sides import Sides
from q2a_core.bench.large_weights import share_weights
from q2a_core.errors import Q2AError
from q2a_core.model import Qwen2Audio
from q2a_core.model.fast_paths.plain import is_plain

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
    model = on_meta(presets.tiny())
    decoder = sum(p.numel() * 4 for p in model.decoder.parameters())
    embeddings = model.decoder.embed_tokens.weight.numel() * 4
    assert report["bandwidth"]["bytes_per_token"] == decoder - embeddings
    table = to_markdown(report)
    assert "transformers, as it comes" in table
    assert "Decoding reaches" in table


def on_meta(config):
    with torch.device("meta"):
        return Qwen2Audio(config)


@pytest.mark.parametrize("tied", [False, True])
def test_the_tensors_are_shared_and_not_copied(tied):
    config = presets.tiny()
    config = replace(config, decoder=replace(config.decoder, tie_word_embeddings=tied))
    sides = Sides(config, torch.device("cpu"), torch.float32, 4)
    ours = [parameter.data_ptr() for parameter in sides.model.parameters()]
    assert sorted({parameter.data_ptr() for parameter in sides.other.parameters()}) == sorted(ours)
    assert (sides.model.decoder.lm_head.weight is sides.model.decoder.embed_tokens.weight) == tied
    assert is_plain(sides.model.decoder), "what is timed must be what people run"
    with pytest.raises(Q2AError, match="has no counterpart"):
        share_weights(on_meta(presets.tiny(vocab_size=384)), sides.other)


def test_the_weights_are_held_once():
    config = presets.tiny()
    wide = replace(config, decoder=replace(config.decoder, d_ff=20_000))
    sizes = sum(4 * parameter.numel() for parameter in on_meta(wide).parameters())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        Sides(wide, torch.device("cpu"), torch.float32, 4)
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = [e.nbytes() for e in sorted(events, key=lambda event: event.start_ns())]
    assert sizes <= max(accumulate(held)) < 1.5 * sizes


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
    assert "The real size: not measured; it needs a CUDA device" in everything.to_markdown(found)


@pytest.mark.parametrize("message", ["CUDA out of memory. Tried to allocate 2 GiB.\nMore.", ""])
def test_too_little_memory_is_told_and_not_measured(monkeypatch, message):
    """No traceback, which would take the rows that were measured before along."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (11_500_000_000, 12_000_000_000))
    found = run_bench(only=["large"])
    assert found == {"large": {"not_measured": f"{large.NEEDS}; 11.5 GB are free"}}

    def fail(**options):
        raise torch.OutOfMemoryError(message)

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (80_000_000_000, 80_000_000_000))
    monkeypatch.setattr(large, "run_large", fail)
    said = run_bench(only=["large"])["large"]["not_measured"]
    what = "CUDA out of memory. Tried to allocate 2 GiB" if message else "OutOfMemoryError"
    assert said == f"{large.NEEDS}; it ran out of it: {what}"


def test_a_side_that_fails_without_a_word_is_left_out_by_its_kind(monkeypatch):
    right = Sides.theirs

    def theirs(self, new_tokens, *, cache=None):
        if cache == "static":
            raise AssertionError
        return right(self, new_tokens, cache=cache)

    monkeypatch.setattr(Sides, "theirs", theirs)
    report = run_large(presets.tiny(), **CPU)
    assert report["left_out"] == {"transformers, static cache, compiled": "AssertionError"}
