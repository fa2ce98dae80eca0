"""Where things lie: what ships with the package, and the user's own folders for caches and runs.

What a command keeps goes to the platform's user folders; `Q2A_HOME` moves them all to one place, which tests and shared
machines use. Only four commands, for authors, write what ships: `synth --samples`, `trace`, `lesson build` and `lesson
time`. Imports neither numpy nor torch.
"""

import os
from pathlib import Path

from q2a_core.errors import CheckpointError, Q2AError

BEST = "best.txt"
"""Beside the shipped checkpoints: the name of the one that `mini` stands for."""
PACKAGE_DIR = Path(__file__).resolve().parent


def _shipped(name: str) -> Path:
    """A top-level folder of the project: of the checkout if there is one, else the copy inside the wheel.

    A bundle that was made without a checkout has the folders of one, but no project file.
    """
    checkout, inside = PACKAGE_DIR.parents[1], PACKAGE_DIR / "shipped" / name
    is_checkout = (checkout / "pyproject.toml").is_file() or not inside.is_dir()
    return checkout / name if is_checkout and (checkout / name).is_dir() else inside


def data_samples() -> Path:
    """The folder with the shipped clips, their manifest and the checkpoints."""
    return _shipped("data_samples")


def workbench() -> Path:
    """The folder with the Streamlit app."""
    return _shipped("workbench")


def notebooks() -> Path:
    """The folder with the lessons."""
    return _shipped("notebooks")


def shipped_checkpoints() -> dict[str, Path]:
    """Shipped checkpoints by name; "mini" is the one that BEST names, unless a folder has that name."""
    root = data_samples() / "checkpoints"
    if not root.is_dir():
        return {}
    found = {path.name: path for path in sorted(root.iterdir()) if (path / "config.json").is_file()}
    best = root / BEST
    if "mini" not in found and best.is_file():
        name = best.read_text("utf-8").strip()
        if name in found:
            return {"mini": found[name], **found}
    return found


def shipped_checkpoint(name: str) -> Path:
    """The directory of a shipped checkpoint; raises CheckpointError with the known names."""
    known = shipped_checkpoints()
    if name not in known:
        names = ", ".join(known) or "none"
        raise CheckpointError(f"no shipped checkpoint is called {name!r}; shipped: {names}")
    return known[name]


def cache_dir() -> Path:
    """Where what can be made again lies: synthesised speech."""
    return _user_dir("cache")


def runs_dir() -> Path:
    """Where training runs lie, one folder each."""
    return _user_dir("runs")


def lessons_dir() -> Path:
    """Where a student's copies of the lessons lie, and what has been passed."""
    return _user_dir("lessons")


def _user_dir(kind: str) -> Path:
    home = os.environ.get("Q2A_HOME")
    if home:
        return _own_home(home) / kind
    import platformdirs

    if kind == "cache":
        return Path(platformdirs.user_cache_dir("q2a", appauthor=False))
    return Path(platformdirs.user_data_dir("q2a", appauthor=False)) / kind


def _own_home(home: str) -> Path:
    try:
        folder = Path(home).expanduser()
    except RuntimeError as error:
        raise Q2AError(f"Q2A_HOME is {home!r}, and nobody here has that name") from error
    if not folder.is_absolute():
        # the kernel of a notebook works in another directory, and would note there what was passed
        raise Q2AError(
            f"Q2A_HOME is {home!r}, which is another folder in every working directory; give the whole path: "
            f"{folder.absolute()}"
        )
    return folder
