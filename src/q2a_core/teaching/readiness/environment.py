"""What the project stands on: interpreter, packages, devices, speech, folders, disk, port, cores. One function a line.

Packages are looked up by their metadata, without importing them. What must really work is tried: torch computes,
soundfile writes and reads, the speech engine says a word.
"""

import os
import platform
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from q2a_core import paths
from q2a_core.errors import Q2AError
from q2a_core.machine import available_cores, installed_version

MIN_PYTHON = (3, 11)
MIN_FREE_GB = 2.0
"""The cache of spoken phrases and the states of one training run."""
PORT = 8501
"""Where the workbench listens unless told otherwise."""
PACKAGES: tuple[tuple[str, dict[str, str]], ...] = (
    ("transformers", {"transformers": "5.17", "accelerate": "1.10"}),
    ("checkpoint files", {"safetensors": "0.8", "tokenizers": "0.22.2", "huggingface-hub": "1.0"}),
    ("numbers", {"numpy": "2.1", "scipy": "1.14"}),
    ("soxr", {"soxr": "0.5"}),
    ("librosa", {"librosa": "0.11"}),
    ("matplotlib", {"matplotlib": "3.10.8"}),
    ("streamlit", {"streamlit": "1.66", "pyarrow": "18"}),
    ("notebooks", {"jupyterlab": "4.4", "ipywidgets": "8.1.5", "anywidget": "0.11"}),
    ("notebook runs", {"nbclient": "0.10", "nbformat": "5.10"}),
    ("command line", {"typer": "0.26", "tqdm": "4.66"}),
    ("folders", {"platformdirs": "4", "filelock": "3.13"}),
    ("templates, scores", {"jinja2": "3.1", "jiwer": "4", "sacrebleu": "2.5"}),
)
"""Lines of the list, each with the packages behind it and the oldest version that will do."""
TORCH, SOUNDFILE = "2.9", "0.13"
AV = "15"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One line of the list."""

    name: str
    ok: bool | None
    """None: an optional part is missing, or something is worth knowing; nothing is broken."""
    found: str
    advice: str = ""
    """What to do; empty if nothing."""


def check_python() -> Check:
    """The interpreter."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info[:2] >= MIN_PYTHON:
        return Check(name="Python", ok=True, found=found)
    wanted = ".".join(map(str, MIN_PYTHON))
    advice = f"make a virtual environment with Python {wanted} or later"
    return Check(name="Python", ok=False, found=found, advice=advice)


def check_packages(name: str, packages: dict[str, str]) -> Check:
    """Installed versions of `packages` beside the oldest that will do."""
    found, wanted = [], []
    for package, oldest in packages.items():
        version = installed_version(package)
        found.append(f"{package} {version or 'not installed'}")
        if version is None or parts(version) < parts(oldest):
            wanted.append(f'"{package}>={oldest}"')
    advice = f"pip install {' '.join(wanted)}" if wanted else ""
    return Check(name=name, ok=not wanted, found=", ".join(found), advice=advice)


def check_torch() -> Check:
    """Torch is new enough, computes, and on what."""
    check = check_packages("torch", {"torch": TORCH})
    if not check.ok:
        return check
    import torch

    product = torch.ones(8, 8) @ torch.ones(8, 8)
    if float(product.sum()) != 512.0:
        advice = f'pip install --force-reinstall "torch>={TORCH}"'
        return Check(name="torch", ok=False, found="computes wrong sums", advice=advice)
    device = "CPU"
    if torch.cuda.is_available():
        device = "CPU and CUDA"
    elif torch.backends.mps.is_available():
        device = "CPU and MPS"
    return Check(name="torch", ok=True, found=f"torch {torch.__version__}, {device}")


def check_soundfile() -> Check:
    """A second of FLAC, written and read in memory."""
    check = check_packages("soundfile", {"soundfile": SOUNDFILE})
    if not check.ok:
        return check
    import io

    import numpy as np
    import soundfile

    memory = io.BytesIO()
    samples = np.linspace(-0.5, 0.5, 16_000, dtype=np.float32)
    soundfile.write(memory, samples, 16_000, format="FLAC")
    memory.seek(0)
    read, rate = soundfile.read(memory, dtype="float32")
    if rate != 16_000 or len(read) != len(samples) or abs(read - samples).max() > 1e-3:
        advice = "pip install --force-reinstall soundfile"
        return Check(name="soundfile", ok=False, found="reads FLAC wrongly", advice=advice)
    found = f"{check.found}, {soundfile.__libsndfile_version__} inside"
    return Check(name="soundfile", ok=True, found=found)


def check_speech() -> Check:
    """eSpeak NG says a word in a process of its own."""
    from q2a_core.errors import SpeechError
    from q2a_core.lengths import SAMPLE_RATE
    from q2a_core.world.speech import engine_version, speak

    try:
        version = engine_version()
        seconds = len(speak("hello")) / SAMPLE_RATE
    except SpeechError as error:
        advice = (
            "pip install --force-reinstall espeakng-loader; only q2a synth, train and eval need it"
        )
        return Check(name="speech engine", ok=False, found=one_line(error), advice=advice)
    found = f'espeakng-loader {version}, said "hello" in {seconds:.2f} s'
    return Check(name="speech engine", ok=True, found=found)


def check_av() -> Check:
    """Optional: m4a and webm."""
    check = check_packages("av", {"av": AV})
    if check.ok:
        return check
    advice = f"for m4a and webm files: {check.advice}"
    return Check(name="av", ok=None, found=check.found, advice=advice)


def check_triton() -> Check:
    """Optional: kernels on a GPU."""
    version = installed_version("triton")
    if version is None:
        advice = "needed on a CUDA device only; torch for CUDA brings it"
        return Check(name="triton", ok=None, found="not installed", advice=advice)
    return Check(name="triton", ok=True, found=f"triton {version}")


def check_cuda() -> Check:
    """Optional: an NVIDIA device that torch can use."""
    import torch

    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        found = f"{device.name}, {device.total_memory / 2**30:.0f} GB"
        return Check(name="CUDA device", ok=True, found=found)
    advice = "the mini models run well on a CPU; the 7B checkpoint wants a GPU of 24 GB"
    return Check(name="CUDA device", ok=None, found="none", advice=advice)


def check_folder(name: str, folder: Path) -> Check:
    """A folder of the user's can be made and written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-"):
            pass
    except OSError as error:
        found = f"{folder} cannot be written ({error.strerror or type(error).__name__})"
        advice = "give yourself write access, or set Q2A_HOME to a folder of yours"
        return Check(name=name, ok=False, found=found, advice=advice)
    return Check(name=name, ok=True, found=str(folder))


def check_disk() -> Check:
    """Room for the cache and a run."""
    folder = paths.cache_dir()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    found = f"{free:.1f} GB free where caches and runs lie"
    if free >= MIN_FREE_GB:
        return Check(name="free disk", ok=True, found=found)
    advice = f"free {MIN_FREE_GB:g} GB: q2a clean removes caches; or set Q2A_HOME to another disk"
    return Check(name="free disk", ok=False, found=found, advice=advice)


def check_port() -> Check:
    """The workbench's usual port; one in use is no fault, there are others."""
    from q2a_core.teaching.launch import check_address

    try:
        check_address("127.0.0.1", PORT)
    except Q2AError:
        advice = f"if that is no workbench of yours: q2a workbench --port {PORT + 1}"
        return Check(name="port", ok=None, found=f"{PORT} is in use", advice=advice)
    return Check(name="port", ok=True, found=f"{PORT} is free")


def check_cores() -> Check:
    """How many cores there are, and how many of them torch uses."""
    import torch

    cores = available_cores()
    threads, limit = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    found = f"{cores} for this process, torch computes with {threads}"
    if limit and threads < cores:
        advice = f"OMP_NUM_THREADS={limit} holds torch back; unset it unless you mean it"
        return Check(name="cores", ok=None, found=found, advice=advice)
    return Check(name="cores", ok=True, found=found)


def parts(version: str) -> tuple[int, ...]:
    """The release numbers of a version, for comparing: "2.13.0+cpu" is (2, 13, 0)."""
    release = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and numbers[-1] == 0:  # 5 is as new as 5.0
        numbers.pop()
    return tuple(numbers)


def one_line(message: object) -> str:
    """A message without line breaks, cut where it gets long."""
    text = " ".join(str(message).split())
    return text if len(text) <= 200 else f"{text[:197]}..."
