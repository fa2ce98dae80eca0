"""`q2a bundle`: one folder that installs q2a on a machine without a network.

    README.md install.sh install.bat    for whoever receives it; check_bundle.py, which they run first
    wheels/                             the project and all that it needs, for this system and this Python
    repository/                         the project's files: what git tracks, or what was installed
    bundle.json                         what was written, with hashes

The same command on the same folder goes on where it was stopped, or brings a finished bundle up to date.
"""

import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q2a_core import __version__, paths
from q2a_core.errors import Q2AError
from q2a_core.progress import OnProgress, unheard
from q2a_core.teaching.bundle.ledger import FILE, Ledger, named, sha256
from q2a_core.teaching.bundle.wheels import (
    PROJECT,
    build_wheel,
    fetch_wheels,
    require_pip,
    resolve_offline,
)

MAX_BYTES = 10**9
"""What a bundle may weigh."""
ROOM_FOR_WHEELS = 15 * 10**8
"""Free bytes to begin with: the wheels, and pip's own copies on the way."""
TOP = ("README.md", "LICENSE", "pyproject.toml", ".ci", "src", "tests")
"""What a checkout without git has besides the shipped folders."""
SHIPPED = ("data_samples", "notebooks", "workbench")
SCRIPTS = ("README.md", "install.sh", "install.bat", "check_bundle.py")
TEMPLATES = Path(__file__).with_name("files")
LEFT_OUT = ("__pycache__", ".git", ".venv", ".ipynb_checkpoints", "build", "dist")
WITH_PACKAGES = "q2a and every package that it needs"
ALONE = "q2a alone: the machine's Python has the packages already"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """What was made."""

    folder: Path
    files: int
    wheels: int
    size: int
    """Bytes of all files."""
    python: str
    system: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "folder": str(self.folder),
            "files": self.files,
            "wheels": self.wheels,
            "bytes": self.size,
            "python": self.python,
            "system": self.system,
        }


def make_bundle(
    target: str | Path,
    *,
    packages: bool = True,
    index: str | None = None,
    newest: bool = False,
    on_copy: OnProgress = unheard,
    on_package: Callable[[str], None] = lambda name: None,
) -> Bundle:
    """Make a bundle in `target`, a new folder or an earlier bundle; see `fetch_wheels` for `index` and `newest`.

    Without `packages` it holds q2a's own wheel alone. Raises Q2AError, with everything written so far kept for the next
    try.
    """
    target = Path(target).expanduser().resolve()
    checkout = paths.PACKAGE_DIR.parents[1]
    if (checkout / "pyproject.toml").is_file() and target.is_relative_to(checkout):
        raise Q2AError(f"{target} lies inside the project; choose a folder outside of {checkout}")
    if packages:
        require_pip()
    ledger = Ledger.open(target)
    earlier = ledger.values.get("made_for", {}).get("packages")
    if earlier == WITH_PACKAGES and not packages:
        raise Q2AError(f"{target} holds every package; choose another folder for one without")
    _require_room(target, ROOM_FOR_WHEELS if packages else MAX_BYTES // 10)
    sources = project_files()
    wheels = target / "wheels"
    with tempfile.TemporaryDirectory(prefix="q2a-bundle-") as scratch:
        own = build_wheel(sources, Path(scratch))
        contents: dict[str, Path | bytes] = {f"repository/{n}": path for n, path in sources.items()}
        contents |= {name: _filled(name, packages=packages) for name in SCRIPTS}
        contents[f"wheels/{own.name}"] = own
        _claim(ledger, wheels)
        ledger.plan({name: sha256(source) for name, source in contents.items()})
        for done, (name, source) in enumerate(contents.items(), 1):
            ledger.put(name, source)
            on_copy(done, len(contents))
        kept = {own.name}
        if packages:
            fetch_wheels(own, wheels, index=index, newest=newest, on_package=on_package)
            kept = resolve_offline(wheels)
    for name in kept:
        ledger.files[f"wheels/{name}"] = sha256(wheels / name)
    for path in wheels.glob("*.whl"):
        if path.name not in kept:  # an earlier run's: the folder is the bundle's own
            path.unlink()
    names = set(contents) | {f"wheels/{name}" for name in kept}
    sizes = {name: (target / name).stat().st_size for name in names}
    _require_small(sizes)
    ledger.values["made_for"] = made_for(packages=packages)
    ledger.finish(names)
    return Bundle(
        folder=target,
        files=len(names) + 1,
        wheels=len(kept),
        size=sum(sizes.values()) + (target / FILE).stat().st_size,
        python=_python(),
        system=f"{platform.system()} {platform.machine()}",
    )


def project_files() -> dict[str, Path]:
    """Files of the project by their path in its repository: what git tracks and the shipped checkpoints."""
    checkout = paths.PACKAGE_DIR.parents[1]
    if not (checkout / "pyproject.toml").is_file():
        found = _walk(paths.PACKAGE_DIR, "src/q2a_core", without=("shipped",))
        for name in SHIPPED:
            found |= _walk(getattr(paths, name)(), name)
        return found
    tracked = _tracked(checkout)
    if tracked is None:
        found = {}
        for name in (*TOP, *SHIPPED):
            path = checkout / name
            found |= {name: path} if path.is_file() else _walk(path, name)
        return found
    return tracked | _walk(checkout / "data_samples" / "checkpoints", "data_samples/checkpoints")


def made_for(*, packages: bool) -> dict[str, str]:
    """What a bundle fits."""
    return {
        "version": __version__,
        "python": _python(),
        "system": platform.system(),
        "machine": platform.machine(),
        "packages": WITH_PACKAGES if packages else ALONE,
    }


def _tracked(checkout: Path) -> dict[str, Path] | None:
    """Files that git tracks and that are there; None where this is no git checkout or there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), "ls-files", "-z"], capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    names = [name for name in done.stdout.decode("utf-8", "surrogateescape").split("\0") if name]
    found = {name: checkout / name for name in names if (checkout / name).is_file()}
    return found if "pyproject.toml" in found else None


def _walk(folder: Path, prefix: str, *, without: tuple[str, ...] = ()) -> dict[str, Path]:
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts[0] not in without and not set(parts) & set(LEFT_OUT):
            found[f"{prefix}/{'/'.join(parts)}"] = path
    return found


def _filled(name: str, *, packages: bool) -> bytes:
    """One of the scripts, made for this system and this Python."""
    values = {
        "VERSION": __version__,
        "PYTHON": _python(),
        "SYSTEM": platform.system(),
        "MACHINE": platform.machine(),
        "PROJECT": PROJECT,
        "WHEELS": WITH_PACKAGES if packages else ALONE,
        "VENV_OPTIONS": "" if packages else "--system-site-packages ",
        "PIP_OPTIONS": "" if packages else "--no-deps ",
    }
    text = (TEMPLATES / name).read_text("utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text.replace("\n", "\r\n" if name.endswith(".bat") else "\n").encode("utf-8")


def _claim(ledger: Ledger, wheels: Path) -> None:
    """Make the folder of wheels the bundle's own: from here on pip writes there. Raises Q2AError if it is not empty."""
    if ledger.values.get("wheels_are_ours"):
        return
    with named(wheels):
        if wheels.exists() and (not wheels.is_dir() or any(wheels.iterdir())):
            raise Q2AError(f"{wheels} is not the bundle's; move it away, or choose another folder")
        wheels.mkdir(exist_ok=True)
    ledger.values["wheels_are_ours"] = True
    ledger.save()


def _require_room(target: Path, needed: int) -> None:
    present = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    free = shutil.disk_usage(target).free
    if free + present < needed:
        raise Q2AError(
            f"{target} has {free / 1e9:.2f} GB free and a bundle needs {max(needed - present, 0) / 1e9:.2f} GB "
            "on the way; free some room, or choose another disk"
        )


def _require_small(sizes: dict[str, int]) -> None:
    total = sum(sizes.values())
    if total > MAX_BYTES:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        names = ", ".join(f"{name} ({sizes[name] / 1e6:.0f} MB)" for name in largest)
        raise Q2AError(
            f"the bundle weighs {total / 1e9:.2f} GB, more than {MAX_BYTES / 1e9:g} GB; largest: {names}"
        )


def _python() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"
