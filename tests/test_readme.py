"""The README: its commands exist, and the tree it shows is the tree on disk."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from q2a_core import paths
from q2a_core.cli import app
from q2a_core.confidence import CAVEAT

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.S)
COMMANDS = [
    part.strip()
    for block in BLOCKS
    for line in block.splitlines()
    for part in line.split("&&")
    if part.strip()
]
COMMANDS += [
    cell for cell in re.findall(r"\| `([^`]+)` \|", README) if cell.startswith(("q2a", "python"))
]


def test_there_are_commands_to_check():
    assert len(COMMANDS) >= 12
    assert "q2a workbench" in COMMANDS
    assert "pytest" in COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_exists(command):
    words = shlex.split(command)
    if words[0] == "q2a":
        known = get_command(app)
        name = words[1]
        assert name in known.commands
        found = known.commands[name]
        rest = words[2:]
        while rest and hasattr(found, "commands"):
            found, rest = found.commands[rest[0]], rest[1:]
        options = {option for parameter in found.params for option in parameter.opts}
        assert not {word for word in rest if word.startswith("--")} - options
        assert all((ROOT / word).exists() for word in rest if word.startswith("data_samples"))
    elif words[0] == "jupyter":
        assert (ROOT / words[-1]).is_file()
    elif words[0] == "pip":
        extras = re.findall(r"\[(\w+)\]", command)
        pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
        assert all(f"\n{extra} = [" in pyproject for extra in extras)
    elif words[0] == "python" and words[1] != "-m":
        script = (ROOT / words[1]).read_text("utf-8")
        assert all(f'"{word}"' in script for word in words[2:] if word.startswith("--"))
    elif words[0] == "python":
        module = paths.PACKAGE_DIR / words[2].removeprefix("q2a_core.").replace(".", "/")
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file()
    else:
        assert words[0] == "pytest"


def test_every_command_of_the_tool_has_help_with_an_example():
    for name, command in get_command(app).commands.items():
        leaves = command.commands.values() if hasattr(command, "commands") else [command]
        for leaf in leaves:
            assert "Example: q2a " in (leaf.help or ""), name


def test_the_tree_shown_is_the_tree_on_disk():
    block = README.split("## The files")[1].split("```")[1]
    shown, inside = {"": set(), "src/q2a_core/": set()}, ""
    for line in block.strip("\n").splitlines():
        name = line.split()[0]
        if line.startswith("  "):
            shown["src/q2a_core/"].add(name.rstrip("/"))
        else:
            inside = name
            shown[""].add(inside.rstrip("/").split("/")[0])
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if tracked:
        top = {name.split("/")[0] for name in tracked} - {".gitignore"}
        rooms = {name.split("/")[2] for name in tracked if name.startswith("src/q2a_core/")}
        assert shown[""] == top
        assert shown["src/q2a_core/"] == rooms - {"__init__.py", "py.typed"}


def test_what_confidence_is_about_is_said_as_the_faces_say_it():
    assert CAVEAT in " ".join(README.split())


def test_help_does_not_import_torch():
    code = "import sys, typer.main; from q2a_core.cli import app; typer.main.get_command(app); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_it_makes_of_real_recordings_is_what_was_measured():
    import json

    from q2a_core.checkpoint import checkpoint_hash

    report = json.loads((ROOT / "data_samples" / "recordings.json").read_text("utf-8"))
    shipped = paths.shipped_checkpoint(report["checkpoint"]["name"])
    assert report["checkpoint"]["hash"] == checkpoint_hash(shipped)
    figures = {
        (row["suite"], row["language"]): row["score"]
        for row in report["rows"]
        if row["metric"] in ("word accuracy", "accuracy")
    }
    words, sounds = figures["transcribe", "en"], figures["sound", "en"]
    told = " ".join(README.split())
    assert f"of {words['n']} English words" in told
    assert f"{words['value']:.0%}".replace("%", " %") + " right" in told
    assert f"{sounds['value']:.0%}".replace("%", " %") + f" of {sounds['n']} sounds" in told
    among = report["among"]
    chosen = f"among the {among['words']} words that the first clips hold, it is right in"
    assert f"{chosen} {among['score']['value']:.0%}".replace("%", " %") in told
    for part, what in (("spoken digits", "digits by six men"), ("animals", "calls of six animals")):
        rows = report["collections"][part]["rows"]
        score = next(r["score"] for r in rows if r["metric"] in ("word accuracy", "accuracy"))
        right = "right " if part == "spoken digits" else ""
        told_of = f"{score['value']:.0%} {right}of {score['n']} {what}"
        assert told_of.replace("%", " %") in told


def test_the_scores_shown_are_those_measured_on_the_shipped_checkpoint():
    import json

    from q2a_core.checkpoint import checkpoint_hash
    from q2a_core.evaluation.tables import report_table

    results = json.loads((ROOT / "data_samples" / "results.json").read_text("utf-8"))
    assert report_table(results).strip() in README
    shipped = paths.shipped_checkpoint(results["checkpoint"]["name"])
    assert results["checkpoint"]["hash"] == checkpoint_hash(shipped)
