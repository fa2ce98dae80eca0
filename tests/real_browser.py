"""A workbench of its own process and Debian's chromium, for tests and for `measure_workbench.py`."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from q2a_core.teaching.launch import workbench_command

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
BY_STREAMLIT = ("_stcore/health", "_stcore/host-config", "/media/")
"""A link to a page makes Streamlit's front end look for a server below that page. On a slow machine
it may ask for a picture of a run that the next one has replaced, and Streamlit has forgotten."""
LOCAL = ("http://127.0.0.1", "data:", "blob:")
# runs Streamlit as `python -m streamlit` does, after whatever is to be replaced
PATCHED = """
import runpy, sys
{patch}
sys.argv = sys.argv[1:]
runpy.run_module("streamlit", run_name="__main__")
"""
TOLD_OF_OURS = ("Warning", "ScriptRunContext", "q2a_core", "app_pages", "Traceback")
"""Words in a server's log that tell of a warning or of a mistake."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serving(
    log: Path,
    *,
    patch: str = "",
    app: Path | None = None,
    environment: dict[str, str] | None = None,
    demo: bool = False,
) -> Iterator[str]:
    """Serve the workbench, or another `app`, and give its address; what it prints goes to `log`.

    `patch` is Python that the server runs first.
    """
    port = free_port()
    options = workbench_command(host="127.0.0.1", port=port, browser=False, demo=demo)[3:]
    if app is not None:
        options[1] = str(app)
    command = [sys.executable, "-c", PATCHED.format(patch=patch), "streamlit", *options]
    variables = {**os.environ, "Q2A_DEMO": "1" if demo else "0", **(environment or {})}
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=variables)
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:  # a browser that was not closed holds a connection
                server.kill()
                server.wait()


def _wait_for(url: str, server: subprocess.Popen) -> None:
    for _ in range(1200):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def complaints(log: Path) -> list[str]:
    """Lines of a server's log that nobody should have to read."""
    text = log.read_text("utf-8", errors="replace")
    return [line for line in text.splitlines() if any(word in line for word in TOLD_OF_OURS)]


@contextmanager
def launched() -> Iterator[Any]:
    """A chromium with a fake microphone."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def watch(context: Any, *, allowed: Sequence[str] = ()) -> list[str]:
    """What a context's pages should not do, as it happens: speak to other hosts, complain in the console.

    Requests to other hosts are blocked. Complaints that contain one of `allowed` are left out.
    """
    wrong: list[str] = []

    def note(text: str) -> None:
        if not any(words in text for words in allowed):
            wrong.append(text)

    def local_only(route: Any) -> None:
        if route.request.url.startswith(LOCAL):
            route.continue_()
        else:
            note(f"request to {route.request.url}")
            route.abort()

    def listen(page: Any) -> None:
        page.on("pageerror", lambda error: note(f"page error {error}"))
        page.on(
            "console",
            lambda line: (
                line.type in ("error", "warning")
                and note(f"console: {line.text} {line.location.get('url', '')}")
            ),
        )

    context.route("**/*", local_only)
    context.on("page", listen)
    return wrong
