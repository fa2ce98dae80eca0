"""The wheels of a bundle: the project's own, made here, and those of its dependencies, fetched by pip.

pip is asked for the versions that are installed here, through whatever it is configured with. CUDA packages are refused
as soon as pip names one, before gigabytes of them arrive. At the end pip must be able to install from the folder alone.
"""

import base64
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from q2a_core.errors import Q2AError
from q2a_core.teaching.bundle.ledger import full_disk, named

PROJECT = "q2a"
SHIPPED = {"src/q2a_core/": "q2a_core/"} | {
    f"{name}/": f"q2a_core/shipped/{name}/" for name in ("data_samples", "workbench", "notebooks")
}
"""Where the folders of the project lie inside its wheel, as pyproject.toml has it."""
CUDA = re.compile(r"^\s*(?:Collecting|Processing)\s+(?:\S*[/\\])?((?:nvidia|cuda)[\w-]*)", re.I)
TAKEN = re.compile(r"^\s*(?:Collecting|Processing)\s+(?:\S*[/\\])?([\w.-]+)")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
DATE = (1980, 1, 1, 0, 0, 0)
"""In place of times, so that the same files give the same wheel."""


def build_wheel(sources: dict[str, Path], folder: Path) -> Path:
    """The project's wheel from its files by their path in the repository; metadata is that of the installed package."""
    about = _installed(sources.get("pyproject.toml"))
    version, info = about.version, f"{PROJECT}-{about.version}.dist-info"
    entries: dict[str, bytes] = {}
    for name, source in sources.items():
        for prefix, inside in SHIPPED.items():
            if name.startswith(prefix):
                entries[inside + name.removeprefix(prefix)] = source.read_bytes()
    entries[f"{info}/METADATA"] = (about.read_text("METADATA") or "").encode()
    entries[f"{info}/entry_points.txt"] = (about.read_text("entry_points.txt") or "").encode()
    entries[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: q2a bundle {version}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    ).encode()
    licence = sources.get("LICENSE")
    text = licence.read_bytes() if licence else (about.read_text("licenses/LICENSE") or "").encode()
    entries[f"{info}/licenses/LICENSE"] = text
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in entries.items()]
    entries[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"{PROJECT}-{version}-py3-none-any.whl"
    with named(folder), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(zipfile.ZipInfo(name, DATE), data, zipfile.ZIP_DEFLATED)
    return path


def fetch_wheels(
    project: Path,
    folder: Path,
    *,
    index: str | None = None,
    newest: bool = False,
    on_package: Callable[[str], None] = lambda name: None,
) -> None:
    """Put the wheel `project` and all that it needs into `folder`; what is there already and whole is kept.

    `index` is asked besides what pip is configured with. `newest` takes the newest versions that fit instead of the
    installed ones. Raises Q2AError.
    """
    require_pip()
    with named(folder):
        for path in folder.glob("*.whl"):
            if not is_whole(path):
                path.unlink()
    command = [*pip_command("wheel"), "--progress-bar", "off", "--wheel-dir", str(folder)]
    command += ["--extra-index-url", index] if index else []
    with tempfile.TemporaryDirectory(prefix="q2a-bundle-") as scratch:
        if not newest:
            pins = Path(scratch) / "installed.txt"
            pins.write_text("".join(f"{line}\n" for line in installed_versions()), "utf-8")
            command += ["--constraint", str(pins)]
        _run_pip([*command, str(project)], folder, on_package)
    cuda = [path.name for path in folder.glob("*.whl") if CUDA.match(f"Processing {path.name}")]
    if cuda:
        raise Q2AError(_no_cuda(cuda[0]))


def resolve_offline(folder: Path) -> set[str]:
    """Names of the wheels that an empty environment would install from the folder alone. Raises Q2AError."""
    with tempfile.TemporaryDirectory(prefix="q2a-bundle-") as scratch:
        report = Path(scratch) / "report.json"
        command = [*pip_command("install"), "--dry-run", "--ignore-installed", "--quiet"]
        command += ["--no-index", "--find-links", str(folder), "--report", str(report), PROJECT]
        alone = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        alone["PIP_CONFIG_FILE"] = os.devnull  # pip reads no settings at all then
        done = subprocess.run(command, capture_output=True, text=True, env=alone)
        if done.returncode:
            raise Q2AError(
                f"the wheels do not make a whole: {_last_error(done.stderr)}; remove {folder} and try again"
            )
        items = json.loads(report.read_text("utf-8"))["install"]
    return {unquote(item["download_info"]["url"]).rsplit("/", 1)[1] for item in items}


def installed_versions() -> list[str]:
    """What is installed here, as constraints; a local build of torch counts as its release, so that a CPU one fits."""
    lines = set()
    for item in importlib.metadata.distributions():
        name, version = item.metadata["Name"], item.version
        if name and version and name.lower() not in (PROJECT, "pip", "setuptools"):
            lines.add(f"{name}=={version.split('+')[0]}")
    return sorted(lines)


def is_whole(path: Path) -> bool:
    """Whether a wheel is complete, by the checksums inside it."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError):
        return False


def require_pip() -> None:
    """Raise Q2AError, with what to do, if this Python has no pip."""
    if importlib.util.find_spec("pip") is None:
        raise Q2AError(
            "this Python has no pip, which fetches the packages; run: python -m ensurepip --upgrade"
        )


def pip_command(name: str) -> list[str]:
    """The beginning of a pip command that asks nobody anything."""
    return [sys.executable, "-m", "pip", name, "--no-input", "--disable-pip-version-check"]


def _run_pip(command: list[str], folder: Path, on_package: Callable[[str], None]) -> None:
    """Run pip to its end, or stop it at the first CUDA package."""
    said: list[str] = []
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said.append(line.rstrip())
            if found := CUDA.match(line):
                raise Q2AError(_no_cuda(found[1]))
            if found := TAKEN.match(line):
                on_package(found[1])
    finally:
        if process.poll() is None:
            process.terminate()
        process.stdout.close()
        process.wait()
    if process.returncode:
        text = "\n".join(said)
        if "No space left" in text or "not enough space" in text:
            raise Q2AError(full_disk(folder))
        raise Q2AError(
            f"pip could not fetch the packages: {_last_error(text)}; the same command goes on where it was"
        )


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    found = (errors or lines or ["no word why"])[-1]
    return found if len(found) <= 300 else f"{found[:297]}..."


def _no_cuda(package: str) -> str:
    return (
        f"pip wants {package}, a CUDA package: torch would come with gigabytes that a class does not need; "
        f"give pip CPU builds of torch: --index {CPU_INDEX}"
    )


def _installed(pyproject: Path | None) -> importlib.metadata.Distribution:
    """The installed package, which must know every dependency that the checkout names. Raises Q2AError."""
    try:
        found = importlib.metadata.distribution(PROJECT)
    except importlib.metadata.PackageNotFoundError as error:
        raise Q2AError("q2a is not installed here; run: pip install -e .") from error
    if pyproject is not None:
        wanted = tomllib.loads(pyproject.read_text("utf-8"))["project"]["dependencies"]
        missing = {_name(line) for line in wanted} - {_name(line) for line in found.requires or ()}
        if missing:
            raise Q2AError(
                f"q2a was installed before it needed {', '.join(sorted(missing))}; run: pip install -e ."
            )
    return found


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return re.sub(r"[._-]+", "-", found[0]).lower() if found else ""


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
