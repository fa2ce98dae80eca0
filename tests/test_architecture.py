"""The house: which room may know which, where heavy libraries may be named, and how long a file may be.

Imports are read from the syntax tree, those inside functions included, so that a lazy import is no back door.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import q2a_core

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(q2a_core.__file__).parent
PAGES = ROOT / "workbench" / "app_pages"

FLOORS = (
    ("cli",),
    ("bench", "teaching"),
    ("training", "evaluation", "inspection"),
    ("inference",),
    ("checkpoint",),
    ("world", "model"),
    ("audio", "text", "kernels"),
    ("presets",),
    ("config_json",),
    ("config",),
    ("lengths", "intervals", "confidence"),
    ("paths", "files", "hashes", "machine", "progress"),
    ("errors",),
)
"""Top to bottom. A room may import from lower floors; rooms on one floor don't know each other."""

FACADE = "__init__"
"""q2a_core/__init__.py stands outside the house: it names the public surface and loads nothing."""

EXCEPTIONS = {("model/qwen2_audio.py", "checkpoint")}
"""`Qwen2Audio.from_pretrained` is part of the public surface; when called it hands on to `checkpoint.load_model`."""

CONFINED = {
    "triton": (
        "kernels/attention_triton.py",
        "kernels/attention_tiles_triton.py",
        "kernels/attention_backward_triton.py",
        "kernels/attention_decode_triton.py",
        "kernels/attention_map_triton.py",
        "kernels/decode_step_triton.py",
    ),
    "matplotlib": ("inspection/figures",),
    "streamlit": (),
    "transformers": ("bench/", "evaluation/", "text/tokenizer.py"),
    "accelerate": ("training/",),
    "gradio": (),
    "fcntl": (),
}
"""Libraries that may be named in these files only."""

FREE_OF_TORCH = (
    "errors",
    "lengths",
    "intervals",
    "confidence",
    "config",
    "config_json",
    "presets",
    "paths",
    "files",
    "hashes",
    "machine",
    "progress",
    "audio",
    "text",
)
"""Rooms that import without torch, so that a first picture does not wait for it."""

DEFAULT_MAX_LINES, MAX_PAGE_LINES = 400, 80

SOURCES = sorted(PACKAGE.rglob("*.py"))
FILES = [path.relative_to(PACKAGE).as_posix() for path in SOURCES if "shipped" not in path.parts]


def room_of(file: str) -> str:
    """`model/merge.py` -> model, `lengths.py` -> lengths, `__init__.py` -> the facade."""
    return file.split("/")[0].removesuffix(".py")


@cache
def imported_modules(path: Path, package: str) -> tuple[str, ...]:
    """Dotted names that a file imports anywhere; `from a import b` gives a.b, and relative ones are resolved."""
    return tuple(_imports(path, package))


def _imports(path: Path, package: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: -node.level + 1 or None] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            argument = node.args[0] if node.args else None
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


def package_of(file: str) -> str:
    return ".".join(["q2a_core", *file.split("/")[:-1]])


def rooms_known_to(file: str) -> set[str]:
    """Rooms of the package that a file imports from, its own left out."""
    names = imported_modules(PACKAGE / file, package_of(file))
    rooms = {name.split(".")[1] for name in names if name.startswith("q2a_core.")}
    return rooms - {room_of(file)}


@pytest.mark.parametrize("file", FILES)
def test_every_room_has_its_floor(file):
    rooms = {room for floor in FLOORS for room in floor}
    assert room_of(file) in rooms | {FACADE}
    assert rooms_known_to(file) <= rooms | {"__version__"}, (
        "an import from the package's own surface"
    )


@pytest.mark.parametrize("file", [file for file in FILES if file != "__init__.py"])
def test_imports_go_down(file):
    floor_of = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    here = floor_of[room_of(file)]
    wrong = {
        room
        for room in rooms_known_to(file) - {"__version__"}
        if floor_of[room] <= here and (file, room) not in EXCEPTIONS
    }
    assert not wrong, f"{file} must not know {sorted(wrong)}"


def test_every_exception_is_still_needed():
    for file, room in EXCEPTIONS:
        assert room in rooms_known_to(file)
        at_import = ast.parse((PACKAGE / file).read_text("utf-8")).body
        top = [ast.unparse(node) for node in at_import if isinstance(node, ast.ImportFrom)]
        assert not any(f"q2a_core.{room}" in line for line in top), "it must stay lazy"


@pytest.mark.parametrize("library", CONFINED)
def test_heavy_libraries_stay_where_they_belong(library):
    for file in FILES:
        names = imported_modules(PACKAGE / file, package_of(file))
        if any(name.split(".")[0] == library for name in names):
            assert file.startswith(CONFINED[library]), f"{file} imports {library}"


def test_optional_libraries_are_imported_where_they_are_used():
    """None of these at the top of a module: importing the package stays cheap and works without extras."""
    late = {"transformers", "matplotlib", "librosa", "av", "soundfile", "soxr", "platformdirs"}
    late |= {
        "jiwer",
        "sacrebleu",
        "accelerate",
        "huggingface_hub",
        "safetensors",
        "tokenizers",
        "jinja2",
        "scipy",
    }
    for file in FILES:
        for node in ast.parse((PACKAGE / file).read_text("utf-8")).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            wrong = {name.split(".")[0] for name in names} & late
            assert not wrong, f"{file} imports {sorted(wrong)} at its top"


@pytest.mark.parametrize("file", FILES)
def test_files_are_short(file):
    lines = len((PACKAGE / file).read_text("utf-8").splitlines())
    assert lines <= DEFAULT_MAX_LINES


def test_pages_draw_and_do_no_tensor_maths():
    for page in sorted(PAGES.glob("*.py")):
        assert len(page.read_text("utf-8").splitlines()) <= MAX_PAGE_LINES, page.name
        libraries = {name.split(".")[0] for name in imported_modules(page, "app_pages")}
        assert not libraries & {"torch", "transformers", "librosa"}, page.name


def modules_after(statement: str, *libraries: str) -> list[str]:
    """Which of `libraries` a fresh interpreter has loaded after `statement`."""
    program = f"import sys\n{statement}\nprint(*[m for m in {libraries!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(PACKAGE.parent), "SYSTEMROOT": "C:\\Windows"},
    )
    return done.stdout.split()


def test_importing_the_package_costs_nothing():
    heavy = ("torch", "transformers", "librosa", "streamlit", "numpy", "scipy")
    assert modules_after("import q2a_core; dir(q2a_core)", *heavy) == []


def test_rooms_that_need_no_torch():
    statement = "\n".join(f"import q2a_core.{room}" for room in FREE_OF_TORCH)
    assert modules_after(statement, "torch", "transformers", "librosa", "streamlit") == []


def test_the_names_of_sound_need_no_torch():
    statement = "from q2a_core import load_waveform, Waveform, presets, Q2AError; presets.mini()"
    assert modules_after(statement, "torch", "transformers", "librosa") == []
