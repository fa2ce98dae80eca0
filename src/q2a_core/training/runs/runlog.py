"""The run log: one JSON object a line, appended and never rewritten, read by figures and pages."""

import json
import shutil
from pathlib import Path
from typing import Any

from q2a_core.files import write_whole


class RunLog:
    """Appends records to `log.jsonl`; a silent one, of a process that must not write, does nothing."""

    def __init__(self, path: Path, *, silent: bool = False):
        self.path = path
        self.silent = silent

    def write(self, kind: str, **values: Any) -> None:
        """Append one record; `kind` is run, step, sample or end, which has an `error` where one ended the run."""
        if self.silent:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **values}, ensure_ascii=False) + "\n")

    def cut(self, step: int) -> None:
        """Drop what a killed run logged after its last saved state, so that no step stands twice, and earlier ends."""
        if self.silent or not self.path.is_file():
            return
        kept = [
            record
            for record in read_log(self.path)
            if record.get("step", 0) <= step and record.get("kind") != "end"
        ]
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in kept]
        write_whole(self.path, "".join(lines))

    def keep(self) -> Path | None:
        """Copy a log that tells of steps beside itself, before it is cut to nothing; None if it tells of none."""
        if self.silent or steps_done(self.path) == 0:
            return None
        number = 1
        while (copy := self.path.with_name(f"{self.path.stem}-{number}.jsonl")).exists():
            number += 1
        shutil.copyfile(self.path, copy)
        return copy


def steps_done(path: Path) -> int:
    """Steps that a run log tells of; 0 where there is none."""
    if not path.is_file():
        return 0
    return max((int(record.get("step", 0)) for record in read_log(path)), default=0)


def read_log(path: Path) -> list[dict[str, Any]]:
    """All whole records of a run log; a line cut off by a kill is left out."""
    return records_in(path.read_bytes())


def records_in(log: bytes) -> list[dict[str, Any]]:
    """All whole records of a log's bytes. Only a line feed ends one: a decoded reply may hold other separators."""
    records = []
    for line in log.split(b"\n"):
        try:
            record = json.loads(line)  # a line may be cut in the middle of a character, too
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def precision_of(records: list[dict[str, Any]]) -> str:
    """In which precision a run computed when it last began; logs of before tell none and are of fp32 runs."""
    begun = [record for record in records if record.get("kind") == "run"]
    return str(begun[-1].get("precision", "no")) if begun else "no"
