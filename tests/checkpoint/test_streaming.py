"""A sharded checkpoint is streamed: while it loads, memory holds the model and about one shard, not two models."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from q2a_core import Qwen2Audio, presets
from q2a_core.checkpoint.weights import to_hub_key
from q2a_core.config_json import config_to_hf

SHARDS = 8
SHARD_BYTES = 20_000_000

PROGRAM = """
import sys
from pathlib import Path
import torch
from q2a_core import Qwen2Audio, presets
from q2a_core.checkpoint import open_checkpoint

def peak_bytes():
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l)
    return int(line.split()[1]) * 1024

checkpoint = open_checkpoint(sys.argv[1])
from safetensors import safe_open
with torch.device("meta"):  # brings in 60 MB of libraries, whatever is built
    Qwen2Audio(presets.tiny())
before = peak_bytes()
for dtype in ("bfloat16", "float32"):
    model = checkpoint.load_model(dtype=dtype)
    print(peak_bytes() - before, sum(p.numel() * p.element_size() for p in model.parameters()))
    del model
"""


@pytest.fixture(scope="module")
def sharded(tmp_path_factory) -> Path:
    """160 MB in eight shards of random fp32 weights."""
    directory = tmp_path_factory.mktemp("sharded") / "large"
    directory.mkdir()
    config = presets.tiny(vocab_size=5_000)
    decoder = replace(
        config.decoder, d_model=512, num_layers=8, num_heads=8, num_kv_heads=8, d_ff=2304
    )
    config = replace(config, decoder=decoder)
    with torch.device("meta"):
        model = Qwen2Audio(config)
    (directory / "config.json").write_text(json.dumps(config_to_hf(config)))
    shards: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, parameter in model.named_parameters():
        bytes_ = parameter.numel() * 4
        if size + bytes_ > SHARD_BYTES:
            shards.append({})
            size = 0
        shards[-1][to_hub_key(name)] = torch.rand(parameter.shape)
        size += bytes_
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, directory / name)
        weight_map |= dict.fromkeys(shard, name)
    index = {"metadata": {}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    assert len(shards) >= SHARDS
    return directory


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_peak_memory_while_loading(sharded):
    """Converted on the way, and as stored: the model, one shard's pages, and some change."""
    sources = Path(torch.__file__).parents[1], Path(presets.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(sharded)],
        env={"PYTHONPATH": os.pathsep.join(map(str, sources))},
        capture_output=True,
        text=True,
        check=True,
    )
    sizes = [path.stat().st_size for path in sharded.glob("*.safetensors")]
    assert sum(sizes) > 150_000_000
    for line, share in zip(done.stdout.splitlines(), (0.5, 1.0), strict=True):
        grown, model = map(int, line.split())
        assert model == pytest.approx(share * sum(sizes), rel=0.01)
        assert 0.9 * model < grown < model + max(sizes) + 25_000_000


def test_every_shard_arrives(sharded):
    opened = Qwen2Audio.from_pretrained(sharded)
    assert all(parameter.device.type == "cpu" for parameter in opened.parameters())
    assert float(opened.decoder.layers[7].mlp.up_proj.weight.detach().mean()) == pytest.approx(
        0.5, abs=0.01
    )
