"""The Triton kernels, interpreted on the CPU in a process of their own; the cases lie in triton_cases.py.

`TRITON_INTERPRET=1` is read when the kernels are decorated, so this process, which may have imported them already, only
starts the other one and reports what it says.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from q2a_core.errors import BackendError
from q2a_core.kernels import attention, resolve_backend

HERE = Path(__file__).parent
installed = importlib.util.find_spec("triton") is not None
needs_triton = pytest.mark.skipif(not installed, reason="Triton is not installed")


@needs_triton
def test_the_cases_pass_in_the_interpreter():
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(HERE / "triton_cases.py"),
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=HERE.parents[1],
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


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
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    q = torch.randn(1, 1, 4, 16)
    with pytest.raises(BackendError, match="pip install triton"):
        attention(q, q, q, backend="triton")
    assert resolve_backend("auto", "cuda", 64) == "sdpa"


def test_auto_takes_triton_on_a_gpu_for_widths_that_it_has(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert resolve_backend("auto", "cuda:0", 64) == "triton"
    assert resolve_backend("auto", "cuda:0", 8) == "sdpa"
    assert resolve_backend("auto", "cuda:0", 256) == "sdpa"
    assert resolve_backend("auto", "cpu", 64) == "sdpa"
    assert resolve_backend("sdpa", "cuda", 64) == "sdpa"
