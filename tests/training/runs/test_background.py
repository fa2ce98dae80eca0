"""Real runs of `q2a train` in the background: started, refused twice, stopped, resumed, killed, and told rightly."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from background_runs import end_runs
from q2a_core import paths
from q2a_core.errors import RunError
from q2a_core.training.runs import background, folders, processes
from q2a_core.training.runs.follow import Follower, RunStatus
from q2a_core.training.runs.layout import HOLDER
from q2a_core.training.runs.presence import is_held, present
from q2a_core.training.runs.runlog import read_log
from q2a_core.training.runs.state import load_newest

pytestmark = pytest.mark.timeout(1200)
PATIENCE = 300
"""Seconds that a busy machine may take; a quiet one needs a few."""
LONG = 4000
"""Steps that no test waits for."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A place of its own for speech and runs, and a pair to train on."""
    pytest.importorskip("espeakng_loader")
    root = tmp_path_factory.mktemp("home")
    pair = {"prompt": "Hello", "chosen": "Hello! Play me a sound.", "rejected": "No."}
    (root / "pairs.jsonl").write_text(json.dumps(pair) + "\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("Q2A_HOME", str(root))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(processes, "NICENESS", 0)
        patch.setattr(background, "START_PATIENCE", float(PATIENCE))
        yield root
    end_runs()


def options(home, *, steps: int, start: str = "mini-sft") -> list[str]:
    pairs = ["--pairs", str(home / "pairs.jsonl"), "--sampled", "0"]
    small = ["--batch-size", "1", "--workers", "0", "--budget", "class"]
    return ["dpo", "--steps", str(steps), "--start", start, *pairs, *small]


def wait_for(follower: Follower, *states: str, step: int = 0) -> RunStatus:
    """Follow until the run is in one of the states; every state on the way is checked to be a possible one."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        status = follower.refresh()
        if status.state in states and status.step >= step:
            return status
        assert status.state not in {"finished", "died"}, status
        time.sleep(0.05)
    raise AssertionError(f"still {follower.refresh()}")


def test_a_run_is_stopped_resumed_and_killed(home):
    run = folders.run_folder("dpo-1")
    follower = Follower(run)
    assert follower.refresh().state == "none"
    background.launch(run, options(home, steps=LONG))
    assert follower.refresh().state == "preparing"
    with pytest.raises(RunError, match="another process is training in dpo-1"):
        background.launch(run, options(home, steps=LONG))
    running = wait_for(follower, "running", step=4)
    assert running.steps == LONG
    assert running.seconds_left > 0
    assert folders.known_runs() == ["dpo-1"]
    with pytest.raises(RunError, match="another process is training in dpo-1"):
        background.resume(run)

    asked = time.monotonic()
    background.stop(run)
    assert follower.refresh().state in ("stopping", "stopped")
    stopped = wait_for(follower, "stopped")
    print(f"stopped after {time.monotonic() - asked:.2f} s")
    state, record = load_newest(run)
    assert follower.records[-1] == {"kind": "end", "step": record["step"], "finished": False}
    assert record["step"] - stopped.step in (0, 1), "the log has every second step"

    background.resume(run)  # at once: it waits for the process that has saved and is about to go
    assert (run / "checkpoint" / "model.safetensors").is_file()
    again = wait_for(follower, "running", step=stopped.step + 4)
    marks = [r["step"] for r in follower.records if r["kind"] == "run"]
    assert marks == [0, record["step"]], "it went on where it stood"
    steps = [r["step"] for r in follower.records if r["kind"] == "step"]
    assert steps == list(range(2, steps[-1] + 1, 2)), "one curve, no step twice"

    pid = background.launched_with(run)["pid"]
    os.kill(pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    died = Follower(run)
    end = time.monotonic() + PATIENCE
    while (status := died.refresh()).is_active and time.monotonic() < end:
        time.sleep(0.05)
    assert status.state == "died"
    assert status.step >= again.step
    kept, kept_record = load_newest(run)
    assert kept.name >= state.name, "what was saved is whole"
    assert kept_record["step"] >= record["step"]


def test_a_run_ends_and_is_found_by_its_folder_alone(home):
    run = folders.run_folder("dpo-2")
    background.launch(run, options(home, steps=3))
    child = background._children.pop(run.resolve())  # as after a restart of whoever started it
    status = wait_for(Follower(run), "finished")
    assert (status.step, status.steps) == (3, 3)
    assert child.wait(PATIENCE) == 0
    assert (run / "checkpoint" / "about.json").is_file()
    background.stop(run)
    assert Follower(run).refresh().state == "finished", "nothing to stop"


def test_what_ends_at_once_says_why(home):
    run = folders.run_folder("dpo-3")
    background.launch(run, options(home, steps=3, start="no-such-thing"))
    follower = Follower(run)
    end = time.monotonic() + PATIENCE
    while (status := follower.refresh()).is_active and time.monotonic() < end:
        time.sleep(0.05)
    assert status.state == "died"
    assert status.error.startswith("no checkpoint 'no-such-thing'")
    first = background._children[run.resolve()]
    background.launch(run, options(home, steps=LONG, start="no-such-thing"))
    assert first.poll() == 2, "it was waited for: what it printed is not taken for the next one's"
    background.stop(run)
    wait_for(follower, "stopped")


def test_a_command_in_a_terminal_is_seen_and_keeps_others_out(home):
    run = folders.run_folder("by_hand")
    holds = (
        "import sys\nfrom pathlib import Path\nfrom q2a_core.training.runs.presence import present\n"
        f"with present(Path({str(run)!r})) as presence:\n"
        "    presence.note('speaking')(30, 120)\n    print('here', flush=True)\n    sys.stdin.read()\n"
    )
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", holds], **streams) as other:
        assert other.stdout.readline() == "here\n"
        status = Follower(run).refresh()
        assert status == RunStatus(state="preparing", doing="speaking", done=30, total=120)
        with pytest.raises(RunError, match="another process is training in by_hand"):
            background.launch(run, options(home, steps=1))
        with (
            pytest.raises(RunError, match="another process is training"),
            present(run),
        ):
            pass
        other.stdin.close()
    assert not is_held(run)
    with pytest.raises(RunError, match="started in a terminal"):
        background.resume(run)


def test_who_comes_in_between_two_looks_is_seen(home, monkeypatch):
    """A process that takes the folder after the first look is neither away nor on its way any more."""
    run = folders.run_folder("between")
    look, inside = background.is_held, contextlib.ExitStack()

    def look_and_then_let_it_in(folder):
        found = look(folder)
        if not (folder / HOLDER).is_file():
            inside.enter_context(present(folder))
        return found

    with inside:
        monkeypatch.setattr(background, "is_held", look_and_then_let_it_in)
        assert background.occupied(run) == "held"
        (run / HOLDER).unlink()
    with inside:
        assert Follower(run).refresh().state == "preparing"
        (run / HOLDER).unlink()
    with inside, pytest.raises(RunError, match="another process is training in between"):
        background.launch(run, options(home, steps=1))


def test_two_tabs_that_start_a_run_at_once_start_one_process(home, monkeypatch):
    run, spawned = folders.run_folder("at_once"), []
    both = threading.Barrier(2, timeout=PATIENCE)

    def spawn(command, output):
        time.sleep(0.3)  # as long as a busy machine takes; the other tab looks meanwhile
        spawned.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        return spawned[-1]

    def start():
        both.wait()
        try:
            background.launch(run, options(home, steps=1))
        except RunError as error:
            return str(error)
        return ""

    monkeypatch.setattr(processes, "spawn", spawn)
    with ThreadPoolExecutor(2) as tabs:
        told = [tab.result() for tab in [tabs.submit(start), tabs.submit(start)]]
    for process in spawned:
        process.communicate(b"\n")
    assert len(spawned) == 1
    assert sorted(told)[0] == ""
    assert "another process is training in at_once" in sorted(told)[1]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", ".hidden", "x" * 65, "a b", "C:x"])
def test_a_name_leads_nowhere_else(home, name):
    with pytest.raises(RunError, match="is no name for a run"):
        folders.run_folder(name)


def test_new_folders_are_never_the_same(home):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(folders.new_folder, ["start"] * 24))
    assert len(set(made)) == 24
    assert {folder.name for folder in made} == {f"start-{number}" for number in range(1, 25)}
    assert all(folder.is_dir() and not any(folder.iterdir()) for folder in made)


def test_a_free_name_is_free(home):
    assert folders.free_name("sft") == "sft-1"
    run = paths.runs_dir() / "sft-1"
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}", "utf-8")
    assert folders.free_name("sft") == "sft-2"


def test_nothing_here_needs_torch():
    program = (
        "import sys\nfrom q2a_core.training.runs import background, folders, processes, expected, follow\n"
        "from q2a_core.training.preference import own_pairs, pair_report\n"
        "folders.known_runs()\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_the_log_that_is_read_piece_by_piece_is_the_whole_log(tmp_path):
    """It grows, in the middle of a character too, is cut as a resumed run cuts it, and grows again."""
    run = tmp_path / "run"
    run.mkdir()
    log = run / "log.jsonl"
    lines = [
        json.dumps({"kind": "step", "step": n, "text": "für 你好"}, ensure_ascii=False)
        for n in range(40)
    ]
    whole = "".join(line + "\n" for line in lines).encode()
    follower = Follower(run)
    for stop in range(0, len(whole), 7):
        log.write_bytes(whole[:stop])
        follower.refresh()
        assert follower.records == [json.loads(x) for x in lines[: whole[:stop].count(b"\n")]]
    resumed = "".join(
        line + "\n" for line in [*lines[:25], json.dumps({"kind": "run"}), *lines[3:30]]
    ).encode()
    for part in (resumed[: len(resumed) // 2], resumed):
        log.write_bytes(part)
        follower.refresh()
    assert follower.records == read_log(log)
    assert len(follower.records) == 53
