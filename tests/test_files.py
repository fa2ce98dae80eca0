"""Files are written whole or not at all, wherever a name leads to."""

import contextlib
import errno
import os
import stat
import subprocess
import sys
import threading

import pytest

from q2a_core.errors import Q2AError
from q2a_core.files import check_writable, json_or_none, write_whole

LARGE = "new " * 5000


@contextlib.contextmanager
def full_disk(size):
    """The system itself refuses files beyond `size` bytes, as a full disk does."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_are_written_as_they_are(tmp_path):
    path = tmp_path / "a"
    write_whole(path, "ü\r\nb\n")
    assert path.read_bytes() == b"\xc3\xbc\r\nb\n"
    write_whole(path, b"\xff")
    assert path.read_bytes() == b"\xff"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("there", [True, False])
def test_a_full_disk_leaves_what_was_there(tmp_path, there):
    path = tmp_path / "a"
    if there:
        path.write_text("old")
    with full_disk(1000), pytest.raises(OSError, match="File too large"):
        write_whole(path, LARGE)
    assert names(tmp_path) == (["a"] if there else [])
    assert not there or path.read_text() == "old"


def test_ctrl_c_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")

    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a", "new")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")
def test_modes_and_links_stay(tmp_path):
    new, old, link, dangling = (tmp_path / name for name in ("new", "old", "link", "dangling"))
    before = os.umask(0o027)
    try:
        write_whole(new, "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    old.write_text("old")
    old.chmod(0o604)
    (tmp_path / "folder").mkdir()
    link.symlink_to("old")
    dangling.symlink_to("folder/made")
    write_whole(link, "new")
    write_whole(dangling, "made")
    assert link.is_symlink()
    assert dangling.is_symlink()
    assert (old.read_text(), stat.S_IMODE(old.stat().st_mode)) == ("new", 0o604)
    assert (tmp_path / "folder" / "made").read_text() == "made"


def test_a_name_may_be_as_long_as_the_system_lets_it(tmp_path):
    path = tmp_path / ("n" * 255)
    write_whole(path, "new")
    assert path.read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="no named pipes")
def test_a_pipe_is_written_into(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_whole(pipe, LARGE)
    reader.join()
    assert read == [LARGE]
    assert pipe.is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="needs /dev/stdout")
def test_standard_output_is_written_into(tmp_path):
    code = (
        "import sys; from pathlib import Path; from q2a_core.files import write_whole; "
        "write_whole(Path('/dev/stdout'), 'new'); print(' and more')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "new and more\n"
    path = tmp_path / "out"
    with path.open("ab") as file:  # as the shell's >> opens it
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert path.read_text() == "new and more\n"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("refusal", [errno.EBUSY, errno.EPERM])
def test_a_file_that_no_other_may_take_the_place_of_is_written_into(tmp_path, monkeypatch, refusal):
    """A file mounted into a container, or another's in a folder for all."""
    path = tmp_path / "a"
    path.write_text("old")

    def refuse(*_):
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    write_whole(path, "new")
    assert path.read_text() == "new"
    with pytest.raises(OSError, match=os.strerror(refusal)):
        write_whole(tmp_path / "b", "new")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": ', None),
        (b"[1]", None),
        (b"\xff", None),
        (b"", None),
        (b"[" * 100_000, None),
        (None, None),
    ],
)
def test_a_json_object_or_nothing(tmp_path, content, values):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    assert json_or_none(path) == values
    assert json_or_none(tmp_path) is None


def test_a_place_that_no_file_can_be_written_to_is_told_before(tmp_path):
    (tmp_path / "later").symlink_to(tmp_path / "report.json")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("report.json", "later", "loop"):
        check_writable(tmp_path / name)
        write_whole(tmp_path / name, name)
        assert (tmp_path / name).read_text("utf-8") == name
    with pytest.raises(Q2AError, match="is a folder"):
        check_writable(tmp_path)
    with pytest.raises(Q2AError, match="make it first"):
        check_writable(tmp_path / "no" / "report.json")
