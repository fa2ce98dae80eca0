"""Whether a run may begin, or go on, in a folder: asked before anything is spoken, and again under the run's lock."""

import json
from pathlib import Path

from q2a_core.errors import RunError
from q2a_core.files import write_whole
from q2a_core.training.runs.layout import CHECKPOINT, CONFIG_FILE, LAUNCH, LOG_FILE, OWNER
from q2a_core.training.stages import StageConfig


def check_folder(run: Path, stage: StageConfig, *, resume: bool) -> None:
    """Raises RunError if the folder is taken, or with `resume` holds no run or one with other settings.

    Changes nothing on disk.
    """
    if run.exists() and not run.is_dir():
        raise RunError(f"{run.name} is a file; expected the name of a folder for the run")
    if not (run / CONFIG_FILE).is_file():
        if resume and not _was_begun(run):
            raise RunError(
                f"{run.name} holds no run to go on with; leave out --resume, or name the run's folder"
            )
        foreign = [name for name in (LOG_FILE, CHECKPOINT) if (run / name).exists()]
        if foreign and not _was_begun(run):
            raise RunError(
                f"{run.name} holds {' and '.join(foreign)} that no run wrote, which this one would write over; "
                "choose a new or an empty folder"
            )
        return
    if not resume:
        raise RunError(
            f"{run.name} already holds a run; continue it with --resume or choose another folder"
        )
    differing = _differing(settings_of(run), stage)
    if differing:
        raise RunError(
            f"{run.name} holds a run with other settings: {', '.join(differing)}; resume it with the same ones"
        )


def claim_folder(run: Path, stage: StageConfig, *, resume: bool) -> None:
    """Check once more, and write down what the run is; only for the process that holds its lock."""
    check_folder(run, stage, resume=resume)
    if not (run / CONFIG_FILE).is_file():
        write_whole(run / CONFIG_FILE, json.dumps(stage.to_dict(), indent=2) + "\n")


def settings_of(run: Path) -> StageConfig:
    """What a run was begun with. Raises RunError if the folder holds none."""
    path = run / CONFIG_FILE
    if not path.is_file():
        raise RunError(f"{run.name} holds no run; expected a folder that q2a train has written")
    try:
        return StageConfig.from_dict(json.loads(path.read_text("utf-8-sig")))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(
            f"{run.name}/{CONFIG_FILE} is damaged: {error}; expected the settings that q2a train wrote there. "
            "Put them back, or begin a new run in another folder"
        ) from error


def _was_begun(run: Path) -> bool:
    """Whether a run without settings came this far: it was killed before it wrote them, or launched by a face."""
    return any((run / name).is_file() for name in (OWNER, LAUNCH))


def _differing(before: StageConfig, now: StageConfig) -> list[str]:
    theirs, ours = before.to_dict(), now.to_dict()
    if before.name != now.name:  # another stage has other settings throughout
        return [f"stage {before.name}, not {now.name}"]
    return [
        f"{name} {theirs[name]}, not {ours[name]}" for name in theirs if theirs[name] != ours[name]
    ]
