"""What a class needs besides: JupyterLab that starts, a kernel that finds this package, widgets, a port, sound."""

import subprocess
import sys
import tempfile
from pathlib import Path

from q2a_core.errors import Q2AError
from q2a_core.teaching.readiness.environment import Check, one_line

PORT, PORTS = 8888, 20
"""Where JupyterLab listens, and how many ports are tried from there."""
WIDGETS = "@jupyter-widgets/jupyterlab-manager"
"""The part of ipywidgets that lives in JupyterLab's page."""
LINUX_SOUND = (Path("/proc/asound/cards"), Path("/mnt/wslg/PulseServer"))
ASK_KERNEL = "import sys, q2a_core; print(sys.executable)"


def check_jupyterlab() -> Check:
    """JupyterLab starts far enough to say its version."""
    name, advice = "JupyterLab", 'pip install --force-reinstall "jupyterlab>=4.4"'
    command = [sys.executable, "-m", "jupyterlab", "--version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return Check(name=name, ok=False, found="did not answer within 120 s", advice=advice)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word why"])[-1]
        return Check(name=name, ok=False, found=f"does not start: {one_line(last)}", advice=advice)
    return Check(name=name, ok=True, found=f"starts, version {done.stdout.strip()}")


def check_kernel() -> Check:
    """The kernel that notebooks ask for is this Python, and it finds the package.

    A kernel of another environment that was registered as python3 is the commonest cause of "no module named".
    """
    import nbformat

    from q2a_core.teaching.run_lesson import run_notebook

    name = "kernel"
    advice = f'"{sys.executable}" -m ipykernel install --sys-prefix --name python3'
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(ASK_KERNEL)])
    with tempfile.TemporaryDirectory(prefix="q2a-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "kernel.ipynb"
        nbformat.write(notebook, path)
        try:
            result = run_notebook(path, cell_timeout=120)
        except Q2AError as error:
            return Check(name=name, ok=False, found=one_line(error), advice=advice)
        except OSError as error:
            found = f"python3 cannot be started ({one_line(error.strerror or error)})"
            return Check(name=name, ok=False, found=found, advice=advice)
    if result.errors:
        return Check(name=name, ok=False, found=one_line(result.errors[0]), advice=advice)
    outputs = result.notebook.cells[0].outputs
    said = "".join(output.text for output in outputs if output.output_type == "stream").strip()
    if not said or not Path(said).is_file() or not Path(said).samefile(sys.executable):
        found = f"python3 is another Python: {said or 'unknown'}"
        return Check(name=name, ok=False, found=found, advice=advice)
    return Check(name=name, ok=True, found="python3 is this Python and finds q2a")


def check_widgets() -> Check:
    """The page's half of ipywidgets is where JupyterLab looks."""
    from jupyter_core.paths import jupyter_path

    name = "widgets"
    for folder in jupyter_path("labextensions"):
        if (Path(folder) / WIDGETS / "package.json").is_file():
            return Check(name=name, ok=True, found="JupyterLab has the widget manager")
    advice = "pip install --force-reinstall ipywidgets jupyterlab_widgets"
    return Check(name=name, ok=False, found="JupyterLab lacks the widget manager", advice=advice)


def check_notebook_port() -> Check:
    """JupyterLab's usual port; one in use is no fault as long as another is free."""
    from q2a_core.teaching.launch import check_address

    name = "notebook port"
    for port in range(PORT, PORT + PORTS):
        try:
            check_address("127.0.0.1", port)
        except Q2AError:
            continue
        if port == PORT:
            return Check(name=name, ok=True, found=f"{PORT} is free")
        advice = f"q2a lesson open 0 --port {port}"
        return Check(name=name, ok=None, found=f"{PORT} is in use, {port} is free", advice=advice)
    found = f"none of {PORT} to {PORT + PORTS - 1} is free"
    advice = "stop the notebook servers that run already, or allow local ports in the firewall"
    return Check(name=name, ok=False, found=found, advice=advice)


def check_sound() -> Check:
    """A sound device; none is no fault, since the browser plays and may be on another machine."""
    name = "sound"
    count = sound_devices()
    if count is None:
        advice = "play a clip in lesson 00 and listen"
        return Check(name=name, ok=None, found="cannot be told on this system", advice=advice)
    if count:
        return Check(name=name, ok=True, found=f"{count} sound device{'s' if count > 1 else ''}")
    advice = "open the notebooks in a browser on a machine that has headphones"
    return Check(name=name, ok=None, found="no sound device", advice=advice)


def sound_devices() -> int | None:
    """How many devices could play; None where the system gives no cheap answer."""
    if sys.platform == "win32":
        import ctypes

        return int(ctypes.windll.winmm.waveOutGetNumDevs())
    if sys.platform.startswith("linux"):
        cards, bridge = LINUX_SOUND
        try:
            listed = cards.read_text("utf-8", errors="replace")
        except OSError:
            listed = ""
        return sum("[" in line for line in listed.splitlines()) + bridge.exists()
    return None
