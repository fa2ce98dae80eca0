"""kill -9, at random moments and at chosen ones: the resumed run equals the unbroken one bit for bit.

Q2A_KILLS sets the number of random kills: 3 by default, 20 for the full row. Processes come from a fork server that has
loaded torch already, so that a kill costs a tenth of a second and not ten.
"""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from q2a_core.training.runs.layout import OWNER
from q2a_core.training.runs.runlog import read_log
from q2a_core.training.runs.state import load_newest
from training.killable import POINTS, STAGE, run_tiny

PRELOADED = [
    *("q2a_core.training.preference.dpo", "accelerate", "safetensors.torch"),
    "torch._dynamo",  # what the first optimizer imports, longer than the run takes
]
KILLS = int(os.environ.get("Q2A_KILLS", "3"))

pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="needs a fork server"
)


def _start(*arguments):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=run_tiny, args=arguments, daemon=True)
    process.start()
    return process


def _finish(*arguments) -> int:
    process = _start(*arguments)
    process.join(120)
    assert process.exitcode is not None, "the run hangs"
    return process.exitcode


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory, chat_format) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_text(chat_format.tokenizer.to_json(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, tokenizer_file) -> tuple[Path, float]:
    """A run that nobody killed, and its seconds."""
    run = tmp_path_factory.mktemp("kills") / "unbroken"
    _finish(run.with_name("warm"), tokenizer_file, False, None, 0)
    start = time.perf_counter()
    assert _finish(run, tokenizer_file, False, None, 0) == 0
    return run, time.perf_counter() - start


def _steps(run: Path) -> list[dict]:
    kept = [r for r in read_log(run / "log.jsonl") if r["kind"] == "step"]
    return [{k: v for k, v in r.items() if not k.endswith("_per_second")} for r in kept]


def _assert_whole(run: Path, unbroken: Path) -> None:
    (mine, record), (theirs, expected) = load_newest(run), load_newest(unbroken)
    assert record == expected, "step, stage and the SHA-256 of weights and optimizer"
    for name in ("weights.safetensors", "optimizer.pt"):
        assert (mine / name).read_bytes() == (theirs / name).read_bytes()
    assert [r["step"] for r in _steps(run)] == list(range(1, STAGE.steps + 1))
    assert _steps(run) == _steps(unbroken)
    assert not list((run / "states").glob(".*.tmp"))


def _killed_twice(
    run: Path, tokenizer_file: Path, seconds: float, rng: np.random.Generator
) -> bool:
    """Kill the run and what resumes it, each at a random moment; False if one of them had ended before."""
    for resume in (False, True):
        process = _start(run, tokenizer_file, resume and _was_begun(run), None, 0)
        process.join(float(rng.uniform(0.05, 1.0)) * seconds)
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            return False
    return True


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_at_random_it_goes_on_bit_for_bit(tmp_path, tokenizer_file, unbroken, number):
    """The unbroken run tells the time to kill within; a machine that got faster since needs shorter ones."""
    reference, seconds = unbroken
    rng = np.random.default_rng([number, 5])
    for halvings in range(5):
        run = tmp_path / str(halvings)
        if _killed_twice(run, tokenizer_file, seconds / 2**halvings, rng):
            break
    else:
        pytest.fail("every run ended before it could be killed")
    assert _finish(run, tokenizer_file, _was_begun(run), None, 0) == 0
    _assert_whole(run, reference)


def _was_begun(run: Path) -> bool:
    """Whether there is something to resume: a kill may come before the run has its folder."""
    return (run / OWNER).is_file()


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("call", [3])
def test_killed_at_a_chosen_point_it_goes_on_bit_for_bit(
    tmp_path, tokenizer_file, unbroken, point, call
):
    run = tmp_path / "run"
    died = _finish(run, tokenizer_file, False, point, call)
    assert died == -signal.SIGKILL, "the point was not reached"
    assert _finish(run, tokenizer_file, True, None, 0) == 0
    _assert_whole(run, unbroken[0])


def test_killed_while_its_settings_are_written_it_begins_anew(tmp_path, tokenizer_file, unbroken):
    """The first file is config.json; before it counts, nothing may stand under its name."""
    run = tmp_path / "run"
    died = _finish(run, tokenizer_file, False, "before a file is on disk", 1)
    assert died == -signal.SIGKILL
    assert not (run / "config.json").exists()
    assert _finish(run, tokenizer_file, True, None, 0) == 0
    _assert_whole(run, unbroken[0])
