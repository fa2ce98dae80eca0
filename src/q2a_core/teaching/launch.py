"""Starting servers, the workbench above all: the one place that knows how Streamlit is run and how a server ends."""

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from q2a_core import paths
from q2a_core.errors import Q2AError

ANYWHERE = ("0.0.0.0", "::", "")
"""Addresses that stand for all of a machine's own."""
DEMO = "Q2A_DEMO"
"""Environment variable that makes the workbench a public stand: `workbench/stand.py`."""
UPLOAD_MB = {False: 25, True: 5}
"""Largest request that the server takes, in megabytes: elsewhere, and on a public stand."""


def launch_workbench(
    *,
    host: str = "127.0.0.1",
    port: int = 8501,
    browser: bool = True,
    demo: bool = False,
    origin: str | None = None,
) -> int:
    """Run the workbench until it is stopped; returns the server's exit code, 0 after Ctrl-C.

    `demo` makes it a public stand. `origin` is the address that visitors type where it is not `host`: behind a proxy
    that speaks https. Streamlit reads the app's own `.streamlit/config.toml`; what must hold whatever a user has
    configured is passed on. Raises Q2AError if the app is missing or an address cannot be used.
    """
    app = paths.workbench() / "app.py"
    if not app.is_file():
        raise Q2AError(f"the workbench is not at {app}; reinstall q2a")
    check_address(host, port)
    command = workbench_command(host=host, port=port, browser=browser, demo=demo, origin=origin)
    environment = {**os.environ, DEMO: "1" if demo else "0"}
    if public_name(host, origin):
        name = f"[{host}]" if ":" in host else host
        print(f"The workbench: {origin or f'http://{name}:{port}'} (Ctrl-C ends it)", flush=True)
    return serve(command, environment)


def serve(command: list[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a server until it ends or this process is asked to; returns its exit code, 0 after Ctrl-C or SIGTERM.

    `command` is Python's, with `-m` and the server's package; ModuleNotFoundError if that is not installed, which the
    command line explains. A server whose starter were just killed would live on and hold the port.
    """
    package = command[command.index("-m") + 1]
    if find_spec(package) is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    is_main = threading.current_thread() is threading.main_thread()  # others may not set handlers
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if is_main else None
    try:
        server = subprocess.Popen(command, env=environment)
        try:
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
            server.wait()
            return 0
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)


def workbench_command(
    *, host: str, port: int, browser: bool, demo: bool = False, origin: str | None = None
) -> list[str]:
    """The command line that serves the workbench."""
    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": not browser,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "server.maxUploadSize": UPLOAD_MB[demo],
    }
    if name := public_name(host, origin):
        options["browser.serverAddress"] = name
        # its welcome comes with an advertisement that Streamlit lays over the page
        options["logger.hideWelcomeMessage"] = True
    command = [sys.executable, "-m", "streamlit", "run", str(paths.workbench() / "app.py")]
    for name, value in options.items():
        command += [f"--{name}", str(value).lower() if isinstance(value, bool) else str(value)]
    return command


def public_name(host: str, origin: str | None) -> str | None:
    """The host name that browsers come to, which Streamlit must know to accept them; None if it will find out.

    Without it Streamlit compares an unknown name with this machine's address as another server on the internet sees it,
    and asks that server. Raises Q2AError for an origin that is no web address.
    """
    if origin is None:
        return host if host not in ANYWHERE else None
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Q2AError(f"{origin!r} is no web address; expected something like https://q2a.example")
    return parts.hostname


def is_local(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_address(host: str, port: int) -> None:
    """Raise Q2AError, with what to do, if nothing could listen on host and port."""
    if not 1 <= port <= 65_535:
        raise Q2AError(f"port {port} is out of range; expected 1 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            if sys.platform != "win32":  # there the option would let two servers share the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except socket.gaierror as error:
        raise Q2AError(f"{host!r} is no address of this machine; use 127.0.0.1") from error
    except OSError as error:
        raise Q2AError(
            f"port {port} on {host} cannot be used ({error.strerror}); is a workbench running already? "
            "Stop it, or choose another port"
        ) from error
