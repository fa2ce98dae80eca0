"""The command line in this process, and a clip to give it."""

import numpy as np
import pytest

from q2a_core.audio import write_wav
from q2a_core.cli import main


@pytest.fixture
def q2a(monkeypatch, capsys, tmp_path):
    """Run the command line in this process; returns exit code, standard output, standard error."""
    monkeypatch.setenv("Q2A_HOME", str(tmp_path / "home"))

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["q2a", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.wav"
    write_wav(path, 0.3 * np.sin(np.arange(16_000) * 0.2).astype(np.float32))
    return path
