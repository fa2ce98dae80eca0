"""Starting the workbench: the command line, and the mistakes that are told before a server is started."""

import os
import socket
import subprocess
import sys

import pytest

from q2a_core import paths
from q2a_core.errors import Q2AError
from q2a_core.teaching import launch


def test_command_serves_the_shipped_app():
    command = launch.workbench_command(host="127.0.0.1", port=8123, browser=False)
    assert command[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert command[4] == str(paths.workbench() / "app.py")
    flags = dict(zip(command[5::2], command[6::2], strict=True))
    assert flags["--server.address"] == "127.0.0.1"
    assert flags["--server.port"] == "8123"
    assert flags["--server.headless"] == "true"
    assert flags["--browser.gatherUsageStats"] == "false"
    assert flags["--client.showErrorDetails"] == "none"


def test_a_browser_opens_unless_it_should_not():
    command = launch.workbench_command(host="127.0.0.1", port=8123, browser=True)
    assert command[command.index("--server.headless") + 1] == "false"


def test_every_flag_is_known_to_streamlit():
    config = pytest.importorskip("streamlit.config")
    command = launch.workbench_command(host="127.0.0.1", port=8123, browser=True)
    known = config._config_options_template
    assert all(flag.removeprefix("--") in known for flag in command[5::2])


def test_every_setting_is_known_to_streamlit():
    config = pytest.importorskip("streamlit.config")
    import tomllib

    def names(table: dict, prefix: str = ""):
        for key, value in table.items():
            if isinstance(value, dict):
                yield from names(value, f"{prefix}{key}.")
            else:
                yield prefix + key

    settings = tomllib.loads((paths.workbench() / ".streamlit" / "config.toml").read_text("utf-8"))
    assert set(names(settings)) <= set(config._config_options_template)


def test_a_taken_port_is_one_sentence():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Q2AError, match=rf"port {port} on 127\.0\.0\.1 cannot be used"):
            launch.launch_workbench(port=port, browser=False)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_out_of_range_is_refused(port):
    with pytest.raises(Q2AError, match="expected 1 to 65535"):
        launch.launch_workbench(port=port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(Q2AError, match=r"192\.0\.2\.1"):
        launch.launch_workbench(host="192.0.2.1", port=8123)


def test_a_missing_workbench_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "workbench", lambda: tmp_path)
    with pytest.raises(Q2AError, match="reinstall q2a"):
        launch.launch_workbench()


def flags_of(**options) -> dict[str, str]:
    command = launch.workbench_command(port=8123, browser=False, **options)
    return dict(zip(command[5::2], command[6::2], strict=True))


def test_a_stand_takes_small_uploads_only():
    assert flags_of(host="127.0.0.1", demo=True)["--server.maxUploadSize"] == "5"
    assert flags_of(host="127.0.0.1")["--server.maxUploadSize"] == "25"


@pytest.mark.parametrize(
    ("host", "origin", "name"),
    [
        ("192.168.1.20", None, "192.168.1.20"),
        ("127.0.0.1", "https://q2a.example:8443/x", "q2a.example"),
        ("0.0.0.0", None, None),
    ],
)
def test_the_name_that_browsers_come_to_is_told_to_streamlit(host, origin, name):
    assert flags_of(host=host, origin=origin).get("--browser.serverAddress") == name


@pytest.mark.parametrize("origin", ["q2a.example", "ftp://q2a.example", "https://"])
def test_an_origin_that_is_no_web_address_is_refused(origin):
    with pytest.raises(Q2AError, match="is no web address"):
        flags_of(host="127.0.0.1", origin=origin)


def test_a_named_origin_is_accepted_without_asking_another_host(monkeypatch):
    config = pytest.importorskip("streamlit.config")
    from streamlit import net_util
    from streamlit.web.server.server_util import is_url_from_allowed_origins

    def never():
        raise AssertionError("another host was asked")

    monkeypatch.setattr(net_util, "get_external_ip", never)
    name = launch.public_name("127.0.0.1", "https://q2a.example")
    before = config.get_option("browser.serverAddress")
    config._set_option("browser.serverAddress", name, "a flag")
    try:
        assert is_url_from_allowed_origins("https://q2a.example")
    finally:
        config._set_option("browser.serverAddress", before, config.ConfigOption.DEFAULT_DEFINITION)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("box", False)],
)
def test_loopback_is_told_from_the_network(host, local):
    assert launch.is_local(host) is local


@pytest.mark.parametrize(("demo", "value"), [(False, "0"), (True, "1")])
def test_the_server_is_told_whether_it_is_a_stand(monkeypatch, demo, value):
    started = []

    def server(command, env):
        started.append(env[launch.DEMO])
        return Server([0])

    monkeypatch.setattr(subprocess, "Popen", server)
    monkeypatch.setattr(launch, "check_address", lambda host, port: None)
    launch.launch_workbench(demo=demo)
    assert started == [value]


class Server:
    """Stands in for the process: waits once, and is then interrupted or gone."""

    def __init__(self, outcomes):
        self.outcomes, self.terminated = list(outcomes), False

    def wait(self):
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def terminate(self):
        self.terminated = True


@pytest.mark.parametrize(
    ("outcomes", "code", "terminated"),
    [([3], 3, False), ([KeyboardInterrupt(), -15], 0, True)],
)
def test_exit_code_is_the_servers_and_ctrl_c_is_no_failure(monkeypatch, outcomes, code, terminated):
    server = Server(outcomes)
    monkeypatch.setattr(subprocess, "Popen", lambda command, env: server)
    monkeypatch.setattr(launch, "check_address", lambda host, port: None)
    assert launch.launch_workbench() == code
    assert server.terminated is terminated


@pytest.mark.skipif(sys.platform == "win32", reason="processes are ended without a signal there")
def test_who_ends_the_command_ends_the_server(tmp_path):
    server = "import time; print('up', flush=True); time.sleep(60)"
    (tmp_path / "sleeper.py").write_text(server)
    starter = """
import sys
from q2a_core.teaching.launch import serve
sys.exit(serve([sys.executable, "-m", "sleeper"]))
"""
    command = subprocess.Popen(
        [sys.executable, "-c", starter],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(tmp_path)])},
    )
    with command:
        assert command.stdout is not None
        assert command.stdout.readline() == "up\n"
        command.terminate()
        # the pipe closes when the last process that holds it is gone: a server left alive would keep it for a minute
        assert command.communicate(timeout=30) == ("", None)
    assert command.returncode == 0


@pytest.mark.parametrize(
    ("host", "origin", "shown"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:8123 "),
        ("::1", None, "http://[::1]:8123 "),
        ("0.0.0.0", "https://q2a.example", "https://q2a.example "),
        ("0.0.0.0", None, None),
    ],
)
def test_its_address_is_told_by_streamlit_or_by_us(monkeypatch, capsys, host, origin, shown):
    commands = []
    monkeypatch.setattr(launch, "check_address", lambda host, port: None)
    monkeypatch.setattr(launch, "serve", lambda command, environment: commands.append(command) or 0)
    assert launch.launch_workbench(host=host, port=8123, browser=False, origin=origin) == 0
    told = capsys.readouterr().out
    assert (shown in told) if shown else told == ""
    assert ("--logger.hideWelcomeMessage" in commands[0]) == bool(shown)
