"""The widgets in a real JupyterLab, in a real browser without a network: they draw, they answer, nobody complains.

`Q2A_LAB_NOTEBOOK` names a notebook to open instead of the small one here, to look at a lesson; `Q2A_LAB_SHOTS` a folder
for pictures of what was seen.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.course, pytest.mark.timeout(1800)]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
PATIENCE = 400_000  # ms; nothing here is a matter of speed
CELLS = (
    """import numpy as np
from matplotlib.figure import Figure
from q2a_core.teaching.widgets import Knobs, show_player
time = np.arange(24_000) / 16_000
tone = (0.2 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
player = show_player(tone, sample_rate=16_000, name="a tone")
player""",
    """turned = []
def draw(*, step):
    turned.append(step)
    return Figure(figsize=(2, 1)), f"the step is {step}"
knobs = Knobs(draw, step=((1, 2, 3), 2))
knobs""",
    """from q2a_core.teaching.widgets.recorder import record_clip
mine = record_clip()
mine""",
    'print("the chosen token is", player.token, "and the recording has", mine.waveform and mine.waveform.sample_rate)',
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab of its own on a folder with one notebook; its address and the notebook's name."""
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("jupyterlab")
    pytest.importorskip("anywidget")
    if not Path(CHROMIUM).is_file():
        pytest.skip("chromium is not installed")
    folder = tmp_path_factory.mktemp("lab")
    given = os.environ.get("Q2A_LAB_NOTEBOOK")
    if given:
        shutil.copy(given, folder / "lesson.ipynb")
    else:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
        # without it JupyterLab asks which kernel is meant
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, folder / "lesson.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        name: str(folder / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTERLAB_SETTINGS_DIR")
    }
    environment["JUPYTERLAB_WORKSPACES_DIR"] = str(folder / "workspaces")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--allow-root"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    command += [
        f"--ServerApp.root_dir={folder}",
        "--LabApp.news_url=",
        "--LabApp.extension_manager=readonly",
    ]
    log = (tmp_path_factory.mktemp("log") / "lab.txt").open("wb")
    server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status", server)
        yield f"http://127.0.0.1:{port}/lab/tree/lesson.ipynb"
    finally:
        server.terminate()
        server.wait()
        log.close()


def wait_for(address: str, server) -> None:
    for _ in range(PATIENCE // 500):
        assert server.poll() is None, "JupyterLab ended"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("JupyterLab does not answer")


@pytest.fixture
def page(lab):
    """The notebook, opened; what should not happen is kept in `page.wrong`."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        wrong: list[str] = []

        def local_only(route):
            url = route.request.url
            if url.startswith(("http://127.0.0.1", "data:", "blob:")):
                route.continue_()
            else:
                wrong.append(f"request to {url}")
                route.abort()

        context.route("**/*", local_only)
        page.on("pageerror", lambda error: wrong.append(f"page error {error}"))
        page.on("console", lambda line: line.type == "error" and wrong.append(line.text))
        page.goto(lab)
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        # before the kernel is there, running a cell only asks which kernel is meant
        page.get_by_text("| Idle").first.wait_for()
        yield page, wrong
        browser.close()


def run_all(page) -> None:
    """Run every cell and wait until the kernel has nothing left to do."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')]"
    page.wait_for_function(f"{prompts}.every((prompt) => /\\[\\d+\\]/.test(prompt.textContent))")


def shoot(page, name: str) -> None:
    folder = os.environ.get("Q2A_LAB_SHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_the_player_and_the_knobs_in_jupyterlab(page):
    page, wrong = page
    run_all(page)
    shoot(page, "ran")
    player = page.locator(".q2a-player").first
    player.scroll_into_view_if_needed()
    player.locator("canvas").wait_for()
    shoot(page, "player")
    picture = "c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
    assert player.locator("canvas").evaluate(picture) > 20, "the log-mel is painted"
    assert "audio tokens" in player.locator(".summary").inner_text(), "its words are to be read"
    assert page.locator(".jp-mod-error, .jp-RenderedText[data-mime-type$=stderr]").count() == 0
    if not os.environ.get("Q2A_LAB_NOTEBOOK"):
        check_answers(page, player)
    assert wrong == []


def check_answers(page, player) -> None:
    """A click reaches Python, the player keeps its keys to itself, a slider redraws."""
    box = player.locator(".row.tokens").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 5.5 * 0.04 / 1.5, box["y"] + box["height"] / 2)
    player.locator(".bracket.stride").wait_for()
    player.get_by_role("slider").focus()
    page.keyboard.press("1")
    page.get_by_text("the step is 2", exact=True).first.wait_for()
    page.get_by_role("slider", name="step").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text("the step is 3", exact=True).first.wait_for()
    shoot(page, "knobs")
    assert page.locator(".jp-MarkdownCell").count() == 0, "1 turned no cell into a heading"
    record(page)
    page.locator(".jp-CodeCell").last.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+Enter")
    page.get_by_text("the chosen token is 5 and the recording has 16000", exact=True).wait_for()


def record(page) -> None:
    """A second of the browser's test tone, through the microphone and back from Python."""
    recorder = page.locator(".q2a-recorder").first
    recorder.get_by_role("button", name="Record").click()
    page.wait_for_timeout(1200)
    recorder.get_by_role("button", name="Stop").click()
    recorder.get_by_text("your recording:").wait_for()
    shoot(page, "recorder")
