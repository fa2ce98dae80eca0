"""Which machine this is, as reports and timings tell it. Imports no torch: its threads are handed in."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any


def machine(*, threads: int) -> dict[str, Any]:
    """Processor, system and versions; `threads` is what torch computes with."""
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "cores": available_cores(),
        "threads": threads,
        "device": "cpu",
        "python": platform.python_version(),
        "torch": installed_version("torch"),
        "transformers": installed_version("transformers"),
        "triton": installed_version("triton"),
    }


def machine_in_words(*, threads: int, torch: str, device: str) -> str:
    """The same in short, for a report's conditions; `torch` is its version."""
    return f"{platform.machine()}, {threads} threads, torch {torch}, {device}"


def available_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def installed_version(package: str) -> str | None:
    """A package's version from its metadata, None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's name where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
