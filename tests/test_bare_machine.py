"""What a machine with a GPU and little else can run: torch, triton, transformers and pytest, as README says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MISSING = (
    "anywidget", "av", "espeakng_loader", "hypothesis", "ipywidgets", "jiwer", "librosa", "matplotlib", "nbclient",
    "nbformat", "platformdirs", "sacrebleu", "scipy", "soundfile", "soxr", "streamlit", "typer",
)  # fmt: skip
PLUGINS = ("hypothesispytest", "timeout", "xdist", "xdist.looponfail")
PROGRAM = f"""
import sys
import pytest

class Bare:
    def pytest_collection(self):
        sys.modules.update(dict.fromkeys({MISSING!r}))

options = ["-m", "gpu", "--collect-only", "-q", "-p", "no:cacheprovider"]
for plugin in {PLUGINS!r}:
    options += ["-p", "no:" + plugin]
sys.exit(pytest.main(options, plugins=[Bare()]))
"""


def test_the_tests_of_a_gpu_are_found_there():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    marked = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if "\n@pytest.mark.gpu" in path.read_text("utf-8")
    }
    assert {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line} == marked
