"""The names that others rely on, and that every module can be imported and does nothing when it is."""

import importlib
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import q2a_core
from q2a_core import AudioChat, Qwen2Audio, Reply, Waveform, load_waveform, presets
from q2a_core.kernels import attention

PACKAGE = Path(q2a_core.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if "shipped" not in path.parts and path.name != "__main__.py"
)
OPTIONAL = {"q2a_core.kernels.attention_triton": "triton"}
"""Modules that need a library which is not always there."""

ROOMS = {
    "q2a_core": [
        "AudioChat",
        "Q2AError",
        "Qwen2Audio",
        "Reply",
        "Waveform",
        "load_waveform",
        "presets",
    ],
    "q2a_core.checkpoint": [
        "Checkpoint",
        "checkpoint_hash",
        "load_model",
        "open_checkpoint",
        "resolve_source",
        "save_checkpoint",
    ],
    "q2a_core.inference": [
        "AudioChat",
        "Generated",
        "GenerationSettings",
        "Reply",
        "generate",
        "generate_steps",
    ],
    "q2a_core.kernels": ["attention", "attention_weights", "resolve_backend"],
    "q2a_core.model": ["IGNORE_INDEX", "KVCache", "ModelOutput", "Qwen2Audio", "causal_lm_loss"],
    "q2a_core.text": ["ChatFormat", "Dialogue", "Tokenizer", "expand_placeholders", "user_message"],
}
"""Names that stay; more may come."""


@pytest.mark.parametrize("room", ROOMS)
def test_exported_names(room):
    module = importlib.import_module(room)
    assert set(ROOMS[room]) <= set(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)
    assert module.__doc__


def test_the_front_door():
    assert dir(q2a_core) == sorted(q2a_core.__all__)
    assert q2a_core.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="no attribute 'Whisper'"):
        _ = q2a_core.Whisper
    assert issubclass(q2a_core.Q2AError, ValueError)


def keyword_only(function) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]


def test_audio_chat_as_promised():
    stream = inspect.signature(AudioChat.stream).parameters
    assert list(stream)[1:3] == ["audio", "text"]
    promised = {"sample_rate", "split", "seed", "max_new_tokens", "min_new_tokens", "temperature"}
    assert promised | {"top_k", "top_p", "repetition_penalty"} <= set(
        keyword_only(AudioChat.stream)
    )
    assert list(inspect.signature(AudioChat.ask).parameters)[1:3] == ["audio", "text"]
    assert stream["seed"].default == 0
    for name in ("from_pretrained", "reset", "fork"):
        assert callable(getattr(AudioChat, name))
    fields = {"text", "token_ids", "logps", "timings", "notices", "prompt", "settings", "seed"}
    assert fields <= set(Reply.__dataclass_fields__)


def test_model_and_attention_as_promised():
    forward = {"mel", "mel_lengths", "attention_mask", "labels"}
    assert forward <= set(keyword_only(Qwen2Audio.forward))
    parameters = inspect.signature(attention).parameters
    assert list(parameters)[:7] == ["q", "k", "v", "is_causal", "lengths", "scale", "backend"]
    assert parameters["backend"].default == "auto"
    assert "sample_rate" in inspect.signature(load_waveform).parameters
    assert {"samples", "sample_rate"} <= set(Waveform.__dataclass_fields__)
    assert all(callable(getattr(presets, name)) for name in ("tiny", "mini", "qwen2_audio_7b"))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_can_be_imported_and_says_what_it_is(module):
    library = OPTIONAL.get(module)
    if library and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    assert importlib.import_module(module).__doc__


def test_importing_everything_does_nothing():
    """No output, no warning, no seeding, no change to the environment, no thread left running."""
    modules = [module for module in MODULES if module not in OPTIONAL]
    program = f"""
import importlib, os, random, threading
import numpy, torch
numpy.random.seed(1), torch.manual_seed(1), random.seed(1)
environment, state = dict(os.environ), (random.getstate(), torch.get_rng_state().clone())
numbers = numpy.random.get_state()[1].copy()
for module in {modules!r}:
    importlib.import_module(module)
assert dict(os.environ) == environment
assert random.getstate() == state[0] and torch.equal(torch.get_rng_state(), state[1])
assert (numpy.random.get_state()[1] == numbers).all()
assert threading.active_count() == 1 and torch.is_grad_enabled()
assert torch.get_default_dtype() == torch.float32
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(PACKAGE.parent), "SYSTEMROOT": "C:\\Windows"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_first_answer_waits_for_no_library_that_it_does_not_need():
    """Opening and asking imports little beyond torch: its compiler alone takes longer than both."""
    program = """
import sys
import numpy as np
from q2a_core import AudioChat
chat = AudioChat.from_pretrained("mini")
assert chat.ask(np.zeros(16_000, np.float32), "What do you hear?", sample_rate=16_000).text
heavy = ("torch._dynamo", "torch._inductor", "transformers", "librosa", "sympy", "matplotlib", "pandas")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"
