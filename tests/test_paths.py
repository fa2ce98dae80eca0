"""Shipped names: folders with a config, and the best of them by the name mini."""

import pytest

from q2a_core import paths
from q2a_core.errors import Q2AError


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    root = tmp_path / "checkpoints"
    for name in ("mini-a", "mini-b"):
        (root / name).mkdir(parents=True)
        (root / name / "config.json").write_text("{}", "utf-8")
    (root / "half").mkdir()
    monkeypatch.setattr(paths, "data_samples", lambda: tmp_path)
    return root


def test_mini_is_the_one_that_is_named_best(checkpoints):
    assert list(paths.shipped_checkpoints()) == ["mini-a", "mini-b"]
    (checkpoints / paths.BEST).write_text("mini-b\n", "utf-8")
    assert paths.shipped_checkpoints()["mini"] == checkpoints / "mini-b"
    assert paths.shipped_checkpoint("mini").name == "mini-b"


def test_a_best_that_is_not_there_is_no_mini(checkpoints):
    (checkpoints / paths.BEST).write_text("half", "utf-8")
    assert "mini" not in paths.shipped_checkpoints()


def test_a_folder_of_that_name_comes_first(checkpoints):
    (checkpoints / "mini").mkdir()
    (checkpoints / "mini" / "config.json").write_text("{}", "utf-8")
    (checkpoints / paths.BEST).write_text("mini-b", "utf-8")
    assert paths.shipped_checkpoint("mini") == checkpoints / "mini"


@pytest.mark.parametrize("home", ["here", "./here", "~no-such-user/q2a"])
def test_a_home_that_is_not_one_place_is_refused(home, monkeypatch):
    """A relative one was another for the kernel of a notebook, whose passed exercises the command line never saw."""
    monkeypatch.setenv("Q2A_HOME", home)
    for folder in (paths.cache_dir, paths.runs_dir, paths.lessons_dir):
        with pytest.raises(Q2AError, match=r"Q2A_HOME is '.*here|nobody here has that name"):
            folder()


@pytest.mark.parametrize("of_a_wheel", [True, False])
def test_folders_beside_the_package_count_where_it_holds_none(of_a_wheel, tmp_path, monkeypatch):
    """A bundle's repository, made from an installed q2a, has no project file; what lies beside a wheel is another's."""
    package = tmp_path / "src" / "q2a_core"
    inside = package / "shipped" / "data_samples"
    (inside if of_a_wheel else package).mkdir(parents=True)
    (tmp_path / "data_samples").mkdir()
    monkeypatch.setattr(paths, "PACKAGE_DIR", package)
    assert paths.data_samples() == (inside if of_a_wheel else tmp_path / "data_samples")
    (tmp_path / "pyproject.toml").touch()
    assert paths.data_samples() == tmp_path / "data_samples"
