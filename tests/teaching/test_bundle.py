"""`q2a bundle`: what it writes, what it leaves alone, how it goes on, and that a reduced one installs offline."""

import errno
import hashlib
import json
import os
import re
import shutil
import site
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from q2a_core import Q2AError, paths
from q2a_core.teaching.bundle import build as bundle
from q2a_core.teaching.bundle import ledger as bundle_ledger
from q2a_core.teaching.bundle import wheels as bundle_wheels
from q2a_core.teaching.bundle.build import make_bundle, project_files
from q2a_core.teaching.bundle.files.check_bundle import bundle_fault

ROOT = Path(__file__).resolve().parents[2]
FAKE_PIP = """
import sys, time
print({said!r}, flush=True)
time.sleep({wait})
sys.exit({code})
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of three files in place of the real one; returns their folder."""
    folder = tmp_path / "project"
    for name in ("src/q2a_core/__init__.py", "data_samples/clip.wav", "README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"first {name}", encoding="utf-8")

    def files():
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path for path in found}

    monkeypatch.setattr(bundle, "project_files", files)
    return folder


def small(target: Path, **options) -> bundle.Bundle:
    return make_bundle(target, packages=False, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_bundle_says_what_it_holds(project, tmp_path):
    target = tmp_path / "out" / "bundle"
    steps = []
    made = small(target, on_copy=lambda done, total: steps.append((done, total)))
    found = contents(target)
    assert steps == [(n, 8) for n in range(1, 9)]
    assert made.files == len(found) == 9
    assert made.size == sum(map(len, found.values()))
    ledger = json.loads(found["bundle.json"])
    assert ledger["complete"]
    assert ledger["files"] == {
        name: hashlib.sha256(data).hexdigest()
        for name, data in found.items()
        if name != "bundle.json"
    }
    assert found["repository/README.md"] == b"first README.md"
    assert ledger["made_for"]["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    for name in ("README.md", "install.sh", "install.bat", "check_bundle.py"):
        assert not re.search(rb"@[A-Z_]+@", found[name]), name
    assert found["install.bat"].count(b"\r\n") == found["install.bat"].count(b"\n")
    assert b"\r" not in found["install.sh"]


def test_the_same_command_again_changes_nothing(project, tmp_path):
    target = tmp_path / "bundle"
    small(target)
    before = contents(target)
    small(target)
    assert contents(target) == before


def test_a_later_project_brings_the_bundle_up_to_date(project, tmp_path):
    target = tmp_path / "bundle"
    small(target)
    (project / "README.md").write_text("second", encoding="utf-8")
    (project / "data_samples" / "clip.wav").unlink()
    (project / "LICENSE").write_text("third", encoding="utf-8")
    small(target)
    found = contents(target)
    assert found["repository/README.md"] == b"second"
    assert found["repository/LICENSE"] == b"third"
    assert "repository/data_samples/clip.wav" not in found
    assert json.loads(found["bundle.json"])["earlier"] == {}


def test_a_folder_that_holds_something_else_is_left_alone(project, tmp_path):
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter.txt").write_text("two years of work")
    with pytest.raises(Q2AError, match="holds files and is no bundle"):
        small(target)
    assert contents(target) == {"chapter.txt": b"two years of work"}
    with pytest.raises(Q2AError, match="is a file; expected the name of a folder"):
        small(target / "chapter.txt")


@pytest.mark.parametrize("name", ["repository/README.md", "install.sh"])
def test_a_file_that_somebody_changed_is_never_overwritten(name, project, tmp_path):
    target = tmp_path / "bundle"
    small(target)
    (target / name).write_text("my own notes")
    (project / "data_samples" / "clip.wav").write_text("second")
    before = contents(target)
    with pytest.raises(Q2AError, match="is not what the bundle wrote"):
        small(target)
    assert contents(target) == before


def test_a_changed_file_that_left_the_project_stays(project, tmp_path):
    target = tmp_path / "bundle"
    small(target)
    (target / "repository" / "README.md").write_text("my own notes")
    (project / "README.md").unlink()
    small(target)
    assert (target / "repository" / "README.md").read_text() == "my own notes"


def test_wheels_of_somebody_else_are_left_alone(project, tmp_path):
    target = tmp_path / "bundle"
    bundle_ledger.Ledger.open(target)
    (target / "wheels").mkdir()
    (target / "wheels" / "mine.whl").write_text("mine")
    with pytest.raises(Q2AError, match="wheels is not the bundle's"):
        small(target)
    assert (target / "wheels" / "mine.whl").read_text() == "mine"


def test_a_bundle_with_packages_does_not_lose_them(project, tmp_path, monkeypatch):
    target = tmp_path / "bundle"
    small(target)
    own = next((target / "wheels").iterdir()).name
    monkeypatch.setattr(bundle, "fetch_wheels", lambda *_, **__: None)
    monkeypatch.setattr(bundle, "resolve_offline", lambda folder: {own})
    monkeypatch.setattr(bundle, "ROOM_FOR_WHEELS", 0)
    (target / "wheels" / "torch-1-py3-none-any.whl").write_text("of an earlier run")
    assert make_bundle(target).wheels == 1
    assert [path.name for path in (target / "wheels").iterdir()] == [own]
    with pytest.raises(Q2AError, match="holds every package; choose another folder"):
        small(target)


@pytest.mark.parametrize("text", ["{", "[]", '{"made_by": "q2a bundle", "files": {"../x": "0"}}'])
def test_a_damaged_ledger_is_not_trusted(text, project, tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_text(text)
    with pytest.raises(Q2AError, match="is damaged; choose another folder"):
        small(tmp_path / "bundle")


def test_a_full_disk_is_a_sentence_and_the_next_try_goes_on(project, tmp_path, monkeypatch):
    target = tmp_path / "bundle"
    real, copied = shutil.copyfile, []

    def full(source, place):
        if len(copied) == 2:
            Path(place).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(place))
        copied.append(place)
        return real(source, place)

    monkeypatch.setattr(bundle_ledger.shutil, "copyfile", full)
    with pytest.raises(Q2AError, match="is full; free some room and run the same command again"):
        small(target)
    assert json.loads((target / "bundle.json").read_text())["complete"] is False
    (project / "README.md").write_text("second", encoding="utf-8")  # and the project went on
    copied.clear()
    monkeypatch.setattr(bundle_ledger.shutil, "copyfile", real)
    small(target)
    found = contents(target)
    assert json.loads(found["bundle.json"])["complete"]
    assert found["repository/README.md"] == b"second"
    assert not [name for name in found if name.endswith(".part")]


@pytest.mark.parametrize("stop_at", range(5))
def test_a_kill_at_any_file_of_an_update_is_mended(stop_at, project, tmp_path, monkeypatch):
    target = tmp_path / "bundle"
    small(target)
    for path in list(bundle.project_files().values()):
        path.write_text(f"second {path.name}")
    real, count = bundle_ledger.Ledger.put, 0

    def put(self, name, source):
        nonlocal count
        if count == stop_at:
            raise KeyboardInterrupt
        count += 1
        real(self, name, source)

    monkeypatch.setattr(bundle_ledger.Ledger, "put", put)
    with pytest.raises(KeyboardInterrupt):
        small(target)
    monkeypatch.setattr(bundle_ledger.Ledger, "put", real)
    small(target)
    assert (target / "repository" / "README.md").read_text() == "second README.md"


def test_a_disk_without_room_is_refused_before_anything_is_copied(project, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=3 * 10**7)
    monkeypatch.setattr(bundle.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(Q2AError, match=r"has 0\.03 GB free and a bundle needs 0\.10 GB"):
        small(tmp_path / "bundle")
    assert set(contents(tmp_path / "bundle")) == {"bundle.json"}


def test_a_bundle_that_grew_too_large_names_what_is_large(project, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_BYTES", 1000)
    with pytest.raises(Q2AError, match=r"more than 1e-06 GB; largest: .*install"):
        small(tmp_path / "bundle")
    assert json.loads((tmp_path / "bundle" / "bundle.json").read_text())["complete"] is False


def test_a_bundle_inside_the_project_is_refused():
    with pytest.raises(Q2AError, match="lies inside the project"):
        small(paths.PACKAGE_DIR.parents[1] / "bundle")


def test_a_python_without_pip_is_told_before_anything_is_written(project, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_wheels.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Q2AError, match=r"no pip.*ensurepip"):
        make_bundle(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def pretend_pip(monkeypatch, *, said: str, code: int = 0, wait: float = 0) -> None:
    program = FAKE_PIP.format(said=said, code=code, wait=wait)
    monkeypatch.setattr(bundle_wheels, "pip_command", lambda name: [sys.executable, "-c", program])


@pytest.mark.parametrize(
    "line",
    [
        "Collecting nvidia-cublas-cu12==12.8.4.1 (from torch>=2.9->q2a==0.1.0)",
        "Processing /index/files/nvidia_cudnn_cu12-9.1-py3-none-any.whl (from torch)",
        "  Collecting cuda-bindings (from torch)",
    ],
)
def test_cuda_is_refused_as_soon_as_pip_names_it(line, tmp_path, monkeypatch):
    pretend_pip(monkeypatch, said=f"Collecting numpy\n{line}", wait=120)
    heard = []
    with pytest.raises(Q2AError, match=r"(nvidia|cuda)\w*-?\w*.*a CUDA package.*--index https"):
        bundle_wheels.fetch_wheels(tmp_path / "q2a.whl", tmp_path, on_package=heard.append)
    assert heard == ["numpy"]


def test_cuda_that_was_there_already_is_refused_too(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "nvidia_nccl_cu12-2.0-py3-none-any.whl", "w") as file:
        file.writestr("x", "y")
    pretend_pip(monkeypatch, said="")
    with pytest.raises(Q2AError, match="nvidia_nccl_cu12"):
        bundle_wheels.fetch_wheels(tmp_path / "q2a.whl", tmp_path)


@pytest.mark.parametrize(
    ("said", "fragment"),
    [
        ("ERROR: No matching distribution found for torch", "No matching distribution found"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "is full; free some room"),
        ("something odd", "something odd; the same command goes on"),
        ("", "no word why"),
    ],
)
def test_what_pip_could_not_do_is_one_sentence(said, fragment, tmp_path, monkeypatch):
    pretend_pip(monkeypatch, said=said, code=1)
    with pytest.raises(Q2AError, match=fragment) as caught:
        bundle_wheels.fetch_wheels(tmp_path / "q2a.whl", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_wheel_that_was_cut_is_fetched_again(tmp_path, monkeypatch):
    whole, cut = tmp_path / "a-1-py3-none-any.whl", tmp_path / "b-1-py3-none-any.whl"
    with zipfile.ZipFile(whole, "w") as file:
        file.writestr("x", "y" * 1000)
    cut.write_bytes(whole.read_bytes()[:-40])
    pretend_pip(monkeypatch, said="")
    bundle_wheels.fetch_wheels(tmp_path / "q2a.whl", tmp_path)
    assert whole.exists()
    assert not cut.exists()


def test_wheels_that_make_no_whole_are_noticed(project, tmp_path):
    bundle_wheels.build_wheel(bundle.project_files(), tmp_path)
    with pytest.raises(Q2AError, match=r"do not make a whole: .*No matching distribution"):
        bundle_wheels.resolve_offline(tmp_path)


def test_versions_are_those_installed_here_and_torch_may_be_a_cpu_build():
    found = bundle_wheels.installed_versions()
    assert all(re.fullmatch(r"[\w.-]+==[^+\s]+", line) for line in found)
    assert any(line.startswith("torch==") for line in found)
    assert not any(line.startswith(("q2a==", "pip==")) for line in found)


def test_the_wheel_is_laid_out_as_the_project_file_says(tmp_path):
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = tables["tool"]["hatch"]["build"]["targets"]["wheel"]
    sources = {"src/q2a_core": "q2a_core"} | wheel["sources"]
    due = {f"{folder}/": f"{sources[folder]}/" for folder in wheel["only-include"]}
    assert due == bundle_wheels.SHIPPED
    assert wheel["sources"]["src"] == ""


def test_an_installed_package_older_than_the_project_is_told_so(project, tmp_path):
    text = '[project]\ndependencies = ["torch>=2.9", "brand_new.thing>=1"]\n'
    (project / "pyproject.toml").write_text(text)
    with pytest.raises(Q2AError, match=r"before it needed brand-new-thing; run: pip install -e \."):
        small(tmp_path / "bundle")


def test_what_goes_in_is_what_git_tracks():
    found = project_files()
    assert {"README.md", "pyproject.toml", "src/q2a_core/lengths.py"} <= set(found)
    assert "data_samples/manifest.jsonl" in found
    assert not [name for name in found if "__pycache__" in name or name.startswith(".git/")]
    for name, path in paths.shipped_checkpoints().items():
        if name != "mini":
            assert f"data_samples/checkpoints/{path.name}/model.safetensors" in found


def test_without_git_and_without_a_checkout_the_same_folders_go_in(tmp_path, monkeypatch):
    tracked = set(project_files())
    monkeypatch.setattr(bundle, "_tracked", lambda checkout: None)
    walked = set(project_files())
    assert {name for name in tracked if name.startswith(("src/", "notebooks/"))} <= walked
    assert not [name for name in walked if "__pycache__" in name]
    installed = tmp_path / "site-packages" / "q2a_core"
    (installed / "shipped" / "data_samples").mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    (installed / "shipped" / "data_samples" / "manifest.jsonl").write_text("")
    monkeypatch.setattr(paths, "PACKAGE_DIR", installed)
    assert set(project_files()) == {"src/q2a_core/__init__.py", "data_samples/manifest.jsonl"}


@pytest.mark.course
@pytest.mark.timeout(1500)
@pytest.mark.skipif(sys.platform == "win32", reason="install.sh is for Linux and macOS")
def test_a_reduced_bundle_installs_into_an_empty_environment_offline(tmp_path):
    """The real project, without its packages: those of this environment are lent to the new one."""
    made = small(tmp_path / "a bundle")
    assert made.wheels == 1
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"PYTHON": sys.executable, "Q2A_HOME": str(tmp_path / "home")}
    environment |= {"PIP_INDEX_URL": "http://127.0.0.1:9/", "http_proxy": "http://127.0.0.1:9"}
    venv = tmp_path / "venv"

    def run(*command: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
        )

    alone = run("sh", made.folder / "install.sh", tmp_path / "alone")
    if sys.prefix != sys.base_prefix:  # whose own Python has the packages no more than the new one
        assert alone.returncode == 2
        assert "q2a does not start" in alone.stderr
        assert alone.stderr.count("\n") == 1
    assert run(sys.executable, "-m", "venv", venv).returncode == 0
    inside = next(venv.glob("lib/python*/site-packages"))
    lent = [path for path in site.getsitepackages() if Path(path).is_dir()]
    (inside / "lent.pth").write_text("\n".join(lent), encoding="utf-8")
    done = run("sh", made.folder / "install.sh", venv)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert (inside / "q2a_core" / "shipped" / "notebooks" / "00_start_here.ipynb").is_file()
    shutil.rmtree(made.folder)  # the environment must not need it
    where = "import q2a_core; print(q2a_core.__file__)"
    assert run(venv / "bin" / "python", "-c", where).stdout.startswith(str(venv))
    listed = run(venv / "bin" / "q2a", "lesson", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert len(json.loads(listed.stdout)) == 10
    described = run(venv / "bin" / "q2a", "info", "mini", "--json")
    assert described.returncode == 0, described.stderr


@pytest.mark.parametrize(
    ("harm", "fragment"),
    [
        (lambda folder: (folder / "repository/README.md").write_text("x"), "is not what was put"),
        (lambda folder: next(folder.glob("wheels/*.whl")).write_bytes(b"x"), "is not what was put"),
        (lambda folder: (folder / "repository/README.md").unlink(), "README.md cannot be read"),
        (lambda folder: (folder / "bundle.json").write_text("[]"), "bundle.json cannot be read"),
        (lambda folder: (folder / "bundle.json").unlink(), "bundle.json cannot be read"),
    ],
)
def test_a_bundle_that_was_damaged_on_the_way_is_not_installed(harm, fragment, project, tmp_path):
    folder = small(tmp_path / "bundle").folder
    assert bundle_fault(folder) == ""
    harm(folder)
    assert fragment in bundle_fault(folder)
    if sys.platform == "win32":
        return
    done = subprocess.run(
        ["sh", str(folder / "install.sh"), str(tmp_path / "venv")],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHON": sys.executable},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("install: ")
    assert fragment in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "venv").exists()


def test_a_bundle_that_was_never_finished_is_not_installed(project, tmp_path):
    folder = small(tmp_path / "bundle").folder
    text = (folder / "bundle.json").read_text()
    (folder / "bundle.json").write_text(text.replace('"complete": true', '"complete": false'))
    assert "never finished" in bundle_fault(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="install.sh is for Linux and macOS")
@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (lambda text: text.replace("x86_64", "pdp11").replace("arm64", "pdp11"), "none was found"),
        (lambda text: text, "is there and is no virtual environment"),
    ],
)
def test_the_script_refuses_in_one_sentence(change, fragment, project, tmp_path):
    script = small(tmp_path / "bundle").folder / "install.sh"
    script.write_text(change(script.read_text()))
    (tmp_path / "taken").mkdir()
    done = subprocess.run(
        ["sh", str(script), str(tmp_path / "taken")],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHON": sys.executable},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("install: ")
    assert done.stderr.count("\n") == 1
    assert fragment in done.stderr
    assert list((tmp_path / "taken").iterdir()) == []


def test_the_command_states_size_and_mistakes(project, tmp_path, monkeypatch, capsys):
    from q2a_core.cli import main

    target = tmp_path / "bundle"
    monkeypatch.setattr(sys, "argv", ["q2a", "bundle", str(target), "--no-packages", "--json"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    record = json.loads(capsys.readouterr().out)
    assert record["bytes"] == sum(map(len, contents(target).values()))
    assert (record["wheels"], record["folder"]) == (1, str(target))
    (target / "install.sh").write_text("mine")
    monkeypatch.setattr(sys, "argv", ["q2a", "bundle", str(target), "--no-packages"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("q2a: ")
    assert said.err.count("\n") == 1
