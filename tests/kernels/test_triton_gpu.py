"""The Triton kernels on a CUDA device, in a process of their own: the interpreter's cases, and bfloat16."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_cases_pass_on_the_device():
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "pytest", str(HERE / "triton_cases.py"), "-q", "-n", "0"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=HERE.parents[1],
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
