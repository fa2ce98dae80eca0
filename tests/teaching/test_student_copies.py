"""A student's copies of the lessons: made whole or not at all, and what was there is never lost."""

import errno

import pytest

from q2a_core import files, paths
from q2a_core.errors import Q2AError
from q2a_core.teaching import student_copies
from q2a_core.teaching.course import lesson, student_notebook
from q2a_core.teaching.student_copies import own_copy, reset

ITEM = lesson(1)


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("Q2A_HOME", str(tmp_path / "home"))


@pytest.fixture
def full_disk(monkeypatch):
    """Call it, and nothing more can be written whole."""

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    return lambda: monkeypatch.setattr(files.os, "fsync", refuse)


def lying_there():
    folder = paths.lessons_dir()
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_copy_is_made_once_and_kept():
    copy = own_copy(ITEM)
    assert copy.read_bytes() == student_notebook(ITEM).read_bytes()
    copy.write_text("mine", "utf-8")
    assert own_copy(ITEM).read_text("utf-8") == "mine"


def test_a_full_disk_leaves_no_half_of_a_lesson(full_disk):
    full_disk()
    with pytest.raises(Q2AError, match="No space left on device; set Q2A_HOME"):
        own_copy(ITEM)
    assert lying_there() == []


def test_a_reset_keeps_every_old_copy():
    kept = []
    for text in ("first", "second"):
        own_copy(ITEM).write_text(text, "utf-8")
        fresh, old = reset(ITEM)
        assert fresh.read_bytes() == student_notebook(ITEM).read_bytes()
        kept.append(old)
    assert [path.read_text("utf-8") for path in kept] == ["first", "second"]


def test_a_reset_that_fails_leaves_the_copy_where_it_was(full_disk, monkeypatch, tmp_path):
    copy = own_copy(ITEM)
    copy.write_text("mine", "utf-8")
    full_disk()
    with pytest.raises(Q2AError, match="No space left"):
        reset(ITEM)
    monkeypatch.setattr(student_copies, "student_notebook", lambda item: tmp_path / "none.ipynb")
    with pytest.raises(Q2AError, match="lesson 01 is not here"):
        reset(ITEM)
    assert lying_there() == [copy.name]
    assert copy.read_text("utf-8") == "mine"
