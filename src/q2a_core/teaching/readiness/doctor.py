"""`q2a doctor`: is everything here that the project needs, and what is to be done where it is not?

The environment's own checks are next door; here are the list, its words, and what ships: clips that can be read and
checkpoints that answer one. No check raises: whatever goes wrong becomes its finding.
"""

from collections.abc import Callable

from q2a_core import paths
from q2a_core.errors import Q2AError
from q2a_core.machine import installed_version
from q2a_core.teaching.readiness import environment
from q2a_core.teaching.readiness.environment import PACKAGES, Check, one_line

__all__ = ["Check", "format_check", "format_checks", "healthy", "run_doctor"]


def run_doctor(*, on_check: Callable[[Check], None] = lambda check: None) -> list[Check]:
    """All checks in order, a few seconds in all; `on_check` hears of each as it is done."""
    steps: list[tuple[str, Callable[[], Check]]] = [
        ("Python", environment.check_python),
        ("torch", environment.check_torch),
        *(
            (name, lambda n=name, p=packages: environment.check_packages(n, p))
            for name, packages in PACKAGES
        ),
        ("soundfile", environment.check_soundfile),
        ("speech engine", environment.check_speech),
        ("av", environment.check_av),
        ("triton", environment.check_triton),
        ("CUDA device", environment.check_cuda),
        ("shipped clips", check_clips),
        *((f"checkpoint {n}", lambda n=n: check_checkpoint(n)) for n in shipped_names()),
        ("cache folder", lambda: environment.check_folder("cache folder", paths.cache_dir())),
        ("runs folder", lambda: environment.check_folder("runs folder", paths.runs_dir())),
        ("free disk", environment.check_disk),
        ("port", environment.check_port),
        ("cores", environment.check_cores),
    ]
    checks = []
    for name, step in steps:
        checks.append(guarded(name, step))
        on_check(checks[-1])
    return checks


def healthy(checks: list[Check]) -> bool:
    """Whether nothing needed is missing or broken."""
    return all(check.ok is not False for check in checks)


def format_checks(checks: list[Check]) -> str:
    """One line a check, what to do under it, and a last line that sums up."""
    lines = [format_check(check) for check in checks]
    broken = sum(check.ok is False for check in checks)
    if broken:
        lines.append(
            f"{broken} of {len(checks)} checks failed; follow the arrows, then run q2a doctor again"
        )
    else:
        lines.append("everything needed is here; start with: q2a workbench")
    return "\n".join(lines)


def format_check(check: Check) -> str:
    """`OK` with what was found, or `FIX` / `note` with what to do under it."""
    mark = {True: "OK", False: "FIX", None: "note"}[check.ok]
    line = f"{mark:<5} {check.name:<18} {check.found}"
    return f"{line}\n{'':<6}-> {check.advice}" if check.advice else line


def guarded(name: str, step: Callable[[], Check]) -> Check:
    """Run one check; whatever it raises becomes its finding."""
    try:
        return step()
    except Q2AError as error:
        return Check(name=name, ok=False, found=one_line(error))
    except Exception as error:  # a broken library may raise anything, and the list must go on
        if isinstance(error, ModuleNotFoundError) and installed_version(error.name or "") is None:
            found = f"cannot be tried without {error.name}"
            advice = "install the packages that this list names, then run q2a doctor again"
            return Check(name=name, ok=False, found=found, advice=advice)
        return Check(
            name=name,
            ok=False,
            found=f"{type(error).__name__}: {one_line(error)}",
            advice="this part is broken; reinstall q2a in a fresh virtual environment",
        )


def check_clips() -> Check:
    """The manifest can be read and every clip that it names is there."""
    from q2a_core.inspection.gallery import read_gallery

    name, advice = "shipped clips", "restore the folder data_samples, or reinstall q2a"
    try:
        samples = read_gallery()
    except Q2AError as error:
        return Check(name=name, ok=False, found=one_line(error), advice=advice)
    if not samples:
        found = "data_samples/manifest.jsonl is missing or empty"
        return Check(name=name, ok=False, found=found, advice=advice)
    missing = [sample.path.name for sample in samples if not sample.path.is_file()]
    if missing:
        found = f"{len(missing)} of {len(samples)} clips are missing ({missing[0]})"
        return Check(name=name, ok=False, found=found, advice=advice)
    return Check(name=name, ok=True, found=f"{len(samples)} clips")


def shipped_names() -> list[str]:
    """Shipped checkpoints, `mini` in any case: it must be there."""
    try:
        return sorted({"mini", *paths.shipped_checkpoints()})
    except OSError:
        return ["mini"]


def check_checkpoint(name: str) -> Check:
    """A shipped checkpoint opens, with finite weights, and answers a shipped clip."""
    line = f"checkpoint {name}"
    advice = f"restore data_samples/checkpoints/{name}, or reinstall q2a"
    if name not in paths.shipped_checkpoints():
        return Check(name=line, ok=False, found="not there", advice=advice)
    from q2a_core.inference import AudioChat
    from q2a_core.inspection.gallery import read_gallery

    try:
        chat = AudioChat.from_pretrained(name)
        size = sum(value.numel() for value in chat.model.parameters())
        found = f"{chat.checkpoint.hash}, {size / 1e6:.1f} M parameters"
        clip = next((sample for sample in read_gallery() if sample.path.is_file()), None)
        if clip is None:
            found += ", but no shipped clip to ask"
            return Check(name=line, ok=False, found=found, advice=advice)
        reply = chat.ask(clip.path, clip.ask, max_new_tokens=24)
    except Q2AError as error:
        return Check(name=line, ok=False, found=one_line(error), advice=advice)
    found += f', answers {clip.path.name}: "{one_line(reply.text)}"'
    return Check(name=line, ok=True, found=found)
