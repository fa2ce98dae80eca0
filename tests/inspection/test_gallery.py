"""The shipped clips as the faces list them."""

import json
import shutil

import numpy as np
import pytest

from q2a_core import paths
from q2a_core.audio import write_wav
from q2a_core.errors import Q2AError
from q2a_core.inspection import read_gallery, record_gallery, recorded_trace

LINE = {"file": "a.wav", "seconds": 0.5, "label": "noise", "kind": "noise", "text": None}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "data_samples", lambda: tmp_path)
    (tmp_path / "clips").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        write_wav(tmp_path / "clips" / f"{name}.wav", rng.uniform(-0.1, 0.1, 8000))
    lines = [LINE | {"ask": "What?", "answer": "noise"}, LINE | {"file": "b.wav"}]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return tmp_path


def test_gallery_follows_the_manifest(folder):
    first, second = read_gallery()
    assert (first.name, first.ask, first.answer) == ("a", "What?", "noise")
    assert (second.name, second.ask, second.answer) == ("b", None, "")
    assert first.path.is_file()


def test_no_manifest_no_clips(folder):
    (folder / "manifest.jsonl").unlink()
    assert read_gallery() == []


@pytest.mark.parametrize("line", ["{", "[]", '{"file": "a.wav"}', '{"file": 3, "seconds": "x"}'])
def test_a_bad_line_is_named(folder, line):
    with (folder / "manifest.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n" + line)
    with pytest.raises(Q2AError, match=r"manifest\.jsonl line 3 cannot be read"):
        read_gallery()


def test_a_manifest_cannot_name_a_file_elsewhere(folder):
    line = json.dumps(LINE | {"file": "../../secret.wav"})
    (folder / "manifest.jsonl").write_text(line, "utf-8")
    assert read_gallery()[0].path == folder / "clips" / "secret.wav"


@pytest.fixture
def mini(folder, tiny_checkpoint):
    """The tiny checkpoint as the best that ships."""
    return shutil.copytree(tiny_checkpoint, folder / "checkpoints" / "mini")


def test_record_and_read_back(folder, mini):
    samples = read_gallery()
    assert recorded_trace(samples[0]) is None
    written = list(record_gallery())
    assert [path.name for path in written] == ["a.npz", "b.npz"]
    traces = [recorded_trace(sample) for sample in samples]
    assert [trace.reply.question for trace in traces if trace and trace.reply] == ["What?", None]


def test_another_checkpoint_does_not_replace_what_ships(folder, mini, tmp_path):
    list(record_gallery())
    before = [path.read_bytes() for path in sorted((folder / "traces").iterdir())]
    other = shutil.copytree(mini, tmp_path / "other")
    with (other / "config.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    for place in (None, folder / "clips" / ".." / "traces"):
        with pytest.raises(Q2AError, match="other is another checkpoint; name another folder"):
            list(record_gallery(other, place))
    written = list(record_gallery(other, tmp_path / "own"))
    assert [path.parent.name for path in written] == ["own", "own"]
    assert [path.read_bytes() for path in sorted((folder / "traces").iterdir())] == before
    shutil.copy(written[0], folder / "traces")
    trace = recorded_trace(read_gallery()[0])
    assert trace is not None
    assert trace.reply is None, "its reply is another checkpoint's; its pictures are the clip's"


def test_a_new_best_checkpoint_has_said_nothing_yet(folder, mini):
    list(record_gallery())
    with (mini / "config.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert recorded_trace(read_gallery()[0]).reply is None
    shutil.rmtree(mini)
    assert recorded_trace(read_gallery()[0]).reply is None


def test_a_trace_of_another_sound_is_not_used(folder, mini):
    list(record_gallery())
    sample = read_gallery()[0]
    write_wav(sample.path, np.zeros(8000, np.float32))
    assert recorded_trace(sample) is None


def test_what_ships_is_said_by_the_best_checkpoint():
    """Otherwise: q2a trace."""
    traces = [recorded_trace(sample) for sample in read_gallery()]
    assert all(trace is not None and trace.reply is not None for trace in traces)
