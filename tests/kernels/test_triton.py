"""The Triton kernels, interpreted on the CPU or on a GPU, in a process of their own; the cases: triton_cases.py.

`TRITON_INTERPRET=1` is read when the kernels are decorated, so this process, which may have imported them already, only
starts the other one and reports what it says.
"""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from q2a_core.errors import BackendError
from q2a_core.kernels import attention, attention_map, resolve_backend

HERE = Path(__file__).parent
entry = importlib.import_module(
    "q2a_core.kernels.attention"
)  # its name in the package is the function
SECONDS = 900
"""For all cases: a busy computer interprets them slowly, and a new GPU compiles a hundred kernels first."""
installed = entry.triton_is_installed()
needs_triton = pytest.mark.skipif(not installed, reason="Triton is not installed")


def run_cases(**changes: str) -> None:
    """The cases in a process of their own, with these environment variables and no other word on the interpreter."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "pytest", str(HERE / "triton_cases.py"), "-q", "-n", "0"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        env=environment | changes,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=HERE.parents[1],
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


@needs_triton
@pytest.mark.timeout(SECONDS + 60)
def test_the_cases_pass_in_the_interpreter():
    run_cases(TRITON_INTERPRET="1", OMP_NUM_THREADS="1")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.timeout(SECONDS + 60)
def test_the_cases_pass_on_the_device():
    run_cases()


@needs_triton
def test_without_a_gpu_triton_is_refused_with_the_remedy():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    q = torch.randn(1, 1, 4, 16)
    program = (
        "import torch\nfrom q2a_core.kernels import attention\n"
        "q = torch.randn(1, 1, 4, 16)\nattention(q, q, q, backend='triton')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "BackendError: the triton backend needs a GPU" in done.stderr
    assert resolve_backend("auto", q.device, 16) == "sdpa"


def test_where_it_is_not_installed_triton_is_refused(monkeypatch):
    monkeypatch.setattr(entry, "triton_is_installed", lambda: False)
    q = torch.randn(1, 1, 4, 16)
    with pytest.raises(BackendError, match="pip install triton"):
        attention(q, q, q, backend="triton")
    assert resolve_backend("auto", "cuda", 64) == "sdpa"


@pytest.mark.parametrize("call", [attention, attention_map])
def test_auto_is_asked_with_what_the_tensors_are(monkeypatch, call):
    asked = []
    file = sys.modules[call.__module__]
    monkeypatch.setattr(file, "resolve_backend", lambda *given: asked.append(given) or "sdpa")
    q = torch.randn(2, 3, 4, 16, dtype=torch.float64)
    call(*(q, q, q)[: 3 if call is attention else 2])
    assert asked == [("auto", q.device, 16, torch.float64, 6)]


def test_auto_takes_triton_on_a_gpu_for_widths_that_it_has(monkeypatch):
    monkeypatch.setattr(entry, "triton_is_installed", lambda: True)
    monkeypatch.setattr(entry, "_suits_triton", lambda device: str(device) == "cuda:0")
    assert resolve_backend("auto", "cuda:0", 64) == "triton"
    assert resolve_backend("auto", "cuda:1", 64) == "sdpa", "its tensor cores would lie idle"
    assert resolve_backend("triton", "cuda:1", 64) == "triton", "who asks for it gets it"
    assert resolve_backend("auto", "cuda:0", 8) == "sdpa"
    assert resolve_backend("auto", "cuda:0", 256) == "sdpa"
    assert resolve_backend("auto", "cpu", 64) == "sdpa"
    assert resolve_backend("auto", "cuda:0", 64, torch.bfloat16) == "triton"
    assert resolve_backend("auto", "cuda:0", 64, torch.float64) == "sdpa"
    assert resolve_backend("auto", "cuda:0", 64, torch.float16, 65_535) == "triton"
    assert resolve_backend("auto", "cuda:0", 64, torch.float16, 65_536) == "sdpa"
    assert resolve_backend("sdpa", "cuda", 64) == "sdpa"
