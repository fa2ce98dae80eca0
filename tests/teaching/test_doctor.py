"""The doctor: green on a sound machine, a sentence for every way to be unsound, and never a traceback."""

import importlib.metadata
import json
import re
import shutil
import socket
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from q2a_core import paths
from q2a_core.errors import SpeechError
from q2a_core.lengths import SAMPLE_RATE
from q2a_core.teaching.readiness import doctor, environment
from q2a_core.teaching.readiness.doctor import Check, format_checks, guarded, healthy, run_doctor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shipped folders with one clip and one checkpoint called mini; the user's folders beside them."""
    soundfile = pytest.importorskip("soundfile")
    samples = tmp_path / "data_samples"
    shutil.copytree(tiny_checkpoint, samples / "checkpoints" / "mini")
    (samples / "clips").mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    soundfile.write(samples / "clips" / "dog.wav", noise, SAMPLE_RATE)
    record = {
        "file": "dog.wav",
        "seconds": 1.0,
        "label": "a dog",
        "kind": "sound",
        "answer": "a dog",
    }
    (samples / "manifest.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    monkeypatch.setattr(paths, "data_samples", lambda: samples)
    monkeypatch.setenv("Q2A_HOME", str(tmp_path / "home"))
    return tmp_path


def test_all_is_well_here(home):
    heard: list[Check] = []
    checks = run_doctor(on_check=heard.append)
    assert heard == checks
    assert [check.name for check in checks if check.ok is False] == []
    assert healthy(checks)
    optional = {check.name for check in checks if check.ok is None}
    assert optional <= {"av", "triton", "CUDA device", "port", "cores"}
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    assert {"torch", "speech engine", "shipped clips", "checkpoint mini", "free disk"} <= set(names)
    text = format_checks(checks)
    assert text.splitlines()[-1] == "everything needed is here; start with: q2a workbench"
    assert sum(line.startswith(("OK ", "FIX ", "note ")) for line in text.splitlines()) == len(
        checks
    )
    assert all(check.advice for check in checks if check.ok is None)


def test_what_ships_is_whole():
    if not (paths.data_samples() / "manifest.jsonl").is_file() or not paths.shipped_checkpoints():
        pytest.skip("no checkpoint ships yet")
    for name in paths.shipped_checkpoints():
        check = doctor.check_checkpoint(name)
        assert check.ok, check.found
    assert doctor.check_clips().ok


def test_the_packages_are_those_of_the_project():
    """Names and oldest versions stand in pyproject.toml too; the two lists agree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {}
    for line in [*project["dependencies"], *project["optional-dependencies"]["media"]]:
        name, oldest = re.match(r"([\w-]+)>=([\d.]+)", line).groups()
        wanted[name] = oldest
    listed = {"torch": environment.TORCH, "soundfile": environment.SOUNDFILE, "av": environment.AV}
    for _, packages in environment.PACKAGES:
        listed |= packages
    del wanted["espeakng-loader"]  # the speech engine is tried, not looked up
    assert listed == wanted


def pretend_version(monkeypatch, package: str, version: str | None) -> None:
    real = importlib.metadata.version

    def look_up(name: str) -> str:
        if name != package:
            return real(name)
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", look_up)


PACKAGES = [package for _, group in environment.PACKAGES for package in group]


@pytest.mark.parametrize("package", [*PACKAGES, "torch", "soundfile"])
@pytest.mark.parametrize("version", [None, "0.0.1"])
def test_a_package_missing_or_old(package, version, monkeypatch):
    pretend_version(monkeypatch, package, version)
    if package in PACKAGES:
        check = next(
            environment.check_packages(n, p) for n, p in environment.PACKAGES if package in p
        )
    else:
        check = {"torch": environment.check_torch, "soundfile": environment.check_soundfile}[
            package
        ]()
    assert check.ok is False
    assert f"{package} {version or 'not installed'}" in check.found
    assert re.fullmatch(rf'pip install "{package}>=[\d.]+"', check.advice)
    assert not healthy([check])
    assert "1 of 1 checks failed" in format_checks([check])


@pytest.mark.parametrize(
    ("package", "step", "advice"),
    [
        ("av", environment.check_av, "m4a and webm"),
        ("triton", environment.check_triton, "CUDA device only"),
    ],
)
def test_an_optional_package_missing(package, step, advice, monkeypatch):
    pretend_version(monkeypatch, package, None)
    check = step()
    assert check.ok is None
    assert advice in check.advice
    assert healthy([check])


@pytest.mark.parametrize(
    ("newer", "older"), [("2.13.0+cpu", "2.9"), ("5.0", "4.99.1"), ("2.10rc1", "2.9"), ("1", "")]
)
def test_versions_compare_by_number(newer, older):
    assert environment.parts(newer) > environment.parts(older)
    assert environment.parts("5") == environment.parts("5.0.0")


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    check = environment.check_python()
    assert check.ok is False
    assert "Python 3.11 or later" in check.advice


def test_a_torch_that_cannot_count(monkeypatch):
    monkeypatch.setattr(torch, "ones", torch.zeros)
    check = environment.check_torch()
    assert (check.ok, check.found) == (False, "computes wrong sums")


@pytest.mark.parametrize(
    ("cuda", "mps", "found"), [(True, False, "CPU and CUDA"), (False, True, "CPU and MPS")]
)
def test_devices_are_named(cuda, mps, found, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert environment.check_torch().found.endswith(found)


def test_no_cuda_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check = environment.check_cuda()
    assert check.ok is None
    assert "run well on a CPU" in check.advice


def test_soundfile_without_its_library(monkeypatch):
    """The package is there, the shared library is not: importing it raises OSError."""
    monkeypatch.setitem(sys.modules, "soundfile", None)
    check = guarded("soundfile", environment.check_soundfile)
    assert check.ok is False
    assert "import of soundfile halted" in check.found
    assert "reinstall" in check.advice


def test_what_cannot_be_tried_for_want_of_a_package_is_not_called_broken():
    check = guarded("cores", lambda: __import__("no_such_package"))
    assert check.ok is False
    assert check.found == "cannot be tried without no_such_package"
    assert "reinstall" not in check.advice


@pytest.mark.parametrize(
    "message", ["needs the package espeakng-loader", "the process ended early"]
)
def test_a_mute_speech_engine(message, monkeypatch):
    def mute(*_, **__):
        raise SpeechError(message)

    monkeypatch.setattr("q2a_core.world.speech.speak", mute)
    check = environment.check_speech()
    assert (check.ok, check.found) == (False, message)
    assert "espeakng-loader" in check.advice


def test_clips_that_are_not_there(home):
    samples = home / "data_samples"
    (samples / "clips" / "dog.wav").unlink()
    assert "1 of 1 clips are missing (dog.wav)" in doctor.check_clips().found
    assert "no shipped clip to ask" in doctor.check_checkpoint("mini").found
    (samples / "manifest.jsonl").write_text('{"file": 3\n', encoding="utf-8")
    assert "manifest.jsonl line 1" in doctor.check_clips().found
    (samples / "manifest.jsonl").unlink()
    check = doctor.check_clips()
    assert check.ok is False
    assert "missing or empty" in check.found
    assert "reinstall q2a" in check.advice


def test_a_checkpoint_that_is_not_there(home):
    shutil.rmtree(home / "data_samples" / "checkpoints")
    assert doctor.shipped_names() == ["mini"]
    check = doctor.check_checkpoint("mini")
    assert (check.ok, check.found) == (False, "not there")
    assert "data_samples/checkpoints/mini" in check.advice


def cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def poison_weights(folder: Path) -> None:
    """The last tensor's values become NaN, which the format itself cannot notice."""
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8] + b"\xff\x7f" * 4)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (cut_weights, "damaged or no safetensors file"),
        (poison_weights, "holds NaN or infinite"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
        (lambda folder: (folder / "config.json").write_text("[]"), "expected a JSON object"),
    ],
    ids=["cut", "nan", "tokenizer", "no weights", "config"],
)
def test_a_damaged_checkpoint(damage, found, home):
    damage(home / "data_samples" / "checkpoints" / "mini")
    check = doctor.check_checkpoint("mini")
    assert check.ok is False
    assert found in check.found
    assert "\n" not in check.found
    assert "restore data_samples/checkpoints/mini" in check.advice


def test_a_whole_checkpoint_answers(home):
    check = doctor.check_checkpoint("mini")
    assert check.ok
    assert re.match(r'[0-9a-f]{12}, 0\.\d M parameters, answers dog\.wav: ".*"$', check.found)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    check = environment.check_folder("cache folder", tmp_path / "file" / "cache")
    assert check.ok is False
    assert "cannot be written" in check.found
    assert "Q2A_HOME" in check.advice


def test_a_folder_is_left_as_it_was(tmp_path):
    assert environment.check_folder("runs folder", tmp_path / "runs").ok
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_full_disk(home, monkeypatch):
    usage = shutil.disk_usage(home)._replace(free=300 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    check = environment.check_disk()
    assert (check.ok, check.found[:6]) == (False, "0.3 GB")
    assert "q2a clean" in check.advice


def test_a_port_in_use(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(environment, "PORT", port)
        check = environment.check_port()
    assert check.ok is None
    assert f"--port {port + 1}" in check.advice


def test_threads_held_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 0)
    assert "OMP_NUM_THREADS=1" in environment.check_cores().advice
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert environment.check_cores().ok


def test_whatever_breaks_the_list_goes_on(home, monkeypatch):
    """Every check raising something of its own: as many findings, and no exception."""

    def broken(*_, **__):
        raise RuntimeError("first line\nsecond " + "x" * 500)

    whole = len(run_doctor())
    for module in (doctor, environment):
        for name in dir(module):
            if name.startswith("check_"):
                monkeypatch.setattr(module, name, broken)
    checks = run_doctor()
    assert len(checks) == whole
    assert not any(check.ok for check in checks)
    assert all(check.found.startswith("RuntimeError: first line second") for check in checks)
    assert all(len(line) < 260 for line in format_checks(checks).splitlines())
    assert f"{whole} of {whole} checks failed" in format_checks(checks)


def test_a_checkpoints_folder_that_cannot_be_listed(monkeypatch):
    def refuse():
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(paths, "shipped_checkpoints", refuse)
    assert doctor.shipped_names() == ["mini"]
    check = guarded("checkpoint mini", lambda: doctor.check_checkpoint("mini"))
    assert check.ok is False
    assert "Permission denied" in check.found
