"""The shipped clips as the faces list them."""

import json

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


def test_record_and_read_back(folder, tiny_checkpoint):
    samples = read_gallery()
    assert recorded_trace(samples[0]) is None
    written = list(record_gallery(tiny_checkpoint))
    assert [path.name for path in written] == ["a.npz", "b.npz"]
    traces = [recorded_trace(sample) for sample in samples]
    assert [trace.reply.question for trace in traces if trace and trace.reply] == ["What?", None]


def test_a_trace_of_another_sound_is_not_used(folder, tiny_checkpoint):
    list(record_gallery(tiny_checkpoint))
    sample = read_gallery()[0]
    write_wav(sample.path, np.zeros(8000, np.float32))
    assert recorded_trace(sample) is None
