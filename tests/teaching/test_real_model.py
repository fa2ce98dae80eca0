"""What stands in for the real 7B and for a GPU: a folder laid out as published, and where the kernel can run."""

import importlib
import importlib.util
import json
import os
import subprocess
import sys

import pytest
import torch

from q2a_core import AudioChat
from q2a_core.errors import Q2AError
from q2a_core.teaching.as_published import lay_out_as_published
from q2a_core.teaching.triton_here import triton_here


def test_shards_with_an_index_are_the_same_model(tiny_checkpoint, tmp_path):
    published = lay_out_as_published(tiny_checkpoint, tmp_path / "published", shards=3)
    shards = sorted(path.name for path in published.glob("*.safetensors"))
    assert shards == [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    index = json.loads((published / "model.safetensors.index.json").read_text("utf-8"))
    assert set(index["weight_map"].values()) == set(shards)
    assert not (published / "about.json").exists()
    one, other = (AudioChat.from_pretrained(source) for source in (tiny_checkpoint, published))
    for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)
    sound = 0.1 * torch.sin(torch.arange(16_000) * 0.3)
    replies = [chat.ask(audio=sound, sample_rate=16_000, text="What?") for chat in (one, other)]
    assert replies[0].token_ids == replies[1].token_ids
    with pytest.raises(Q2AError, match="is not empty"):
        lay_out_as_published(tiny_checkpoint, published)


def test_without_triton_the_lesson_is_told_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    here = triton_here()
    assert here.device is None
    assert "pip install triton" in here.sentence


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_interpreter_is_switched_on_in_time(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    importlib.import_module("triton")
    late = triton_here()
    assert late.device is None
    assert "restart the kernel" in late.sentence
    program = (
        "from q2a_core.teaching.triton_here import triton_here\n"
        "here = triton_here()\n"
        "import torch\nfrom q2a_core.kernels import attention\n"
        "q = torch.randn(1, 1, 20, 16)\n"
        "a, b = (attention(q, q, q, backend=name) for name in ('triton', 'reference'))\n"
        "print(here.device, float((a - b).abs().max()) < 1e-5)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.stdout.split() == ["cpu", "True"], done.stderr[-2000:]
