"""Starting the workbench: the one place that knows how Streamlit is run."""

import socket
import subprocess
import sys

from q2a_core import paths
from q2a_core.errors import Q2AError


def launch_workbench(*, host: str = "127.0.0.1", port: int = 8501, browser: bool = True) -> int:
    """Run the workbench until it is stopped; returns the server's exit code, 0 after Ctrl-C.

    Streamlit reads the app's own `.streamlit/config.toml`; what must hold whatever a user has configured is passed on.
    Raises Q2AError if the app is missing or the address cannot be used.
    """
    app = paths.workbench() / "app.py"
    if not app.is_file():
        raise Q2AError(f"the workbench is not at {app}; reinstall q2a")
    check_address(host, port)
    server = subprocess.Popen(workbench_command(host=host, port=port, browser=browser))
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        return 0


def workbench_command(*, host: str, port: int, browser: bool) -> list[str]:
    """The command line that serves the workbench."""
    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": not browser,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
    }
    command = [sys.executable, "-m", "streamlit", "run", str(paths.workbench() / "app.py")]
    for name, value in options.items():
        command += [f"--{name}", str(value).lower() if isinstance(value, bool) else str(value)]
    return command


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
