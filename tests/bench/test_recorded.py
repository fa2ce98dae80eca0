"""A kept bench run read back: every part as bars, a damaged file as one sentence, no file as nothing."""

import json

import pytest

from q2a_core import paths
from q2a_core.bench.recorded import charts, read_bench, recorded_charts
from q2a_core.bench.report import Row, to_markdown
from q2a_core.errors import Q2AError

HOST = {"processor": "a chip", "cores": 2, "threads": 1, "torch": "2", "transformers": "5"}
HOST |= {"triton": None, "device": "a card"}
ROWS = [
    Row(name="a", what="decoding", unit="tokens/s", ours=[400.0], other=[100.0], at_least=3.0),
    Row(name="b", what="log-mel", unit="s", ours=[0.004], other=[0.002], at_most=1.5),
]
CHECKPOINT = {"name": "mini", "hash": "abc"}
REPORT = {
    "checkpoint": CHECKPOINT,
    "machine": HOST,
    "conditions": {"dtype": "float32", "clip_seconds": 3.0, "repeats": 5},
    "gate": {"greedy_tokens": 64, "logits": 1e-6, "loss": 1e-7, "mel": 1e-6},
    "rows": [row.to_dict() for row in ROWS],
    "notices": ["warm"],
    "growth": {
        "checkpoint": CHECKPOINT,
        "machine": HOST,
        "repeats": 3,
        "first_token_seconds": [{"seconds": 1.0, "ours": 0.02, "other": 0.5}],
        "training_clips_per_second": [
            {"batch_size": size, "ours": 40.0, "other": 2.0} for size in (1, 4)
        ],
        "training_clip_seconds": 3.0,
        "process_memory_bytes": {"ours": 3e8, "other": 9e8},
    },
    "serve": {
        "checkpoint": CHECKPOINT,
        "machine": HOST,
        "clip_seconds": 3.0,
        "new_tokens": 32,
        "rounds": 2,
        "rows": [
            {
                "chats": 4,
                "first_token_seconds": {"p50": 0.1},
                "reply_seconds": {"p50": 0.5, "p99": 1.5},
                "replies_per_second": 6.0,
            }
        ],
    },
    "attention": {
        "machine": HOST,
        "device": "cpu",
        "dtype": "float32",
        "matrix_peak_tflops": 0.1,
        "auto": "sdpa",
        "rows": [
            {
                "what": "encoder",
                "contenders": {
                    name: {
                        "forward": {"seconds": s, "tflops": 1.0},
                        "forward_backward": {"seconds": 3 * s, "tflops": 1.0},
                    }
                    for name, s in (("q2a sdpa", 0.01), ("torch math", 0.03))
                },
            }
        ],
    },
    "large": {"not_measured": "needs a GPU"},
}


def test_every_part_is_a_chart_with_its_figures():
    found = {chart.title: chart for chart in charts(REPORT)}
    assert len(found) == 7
    pipeline = found["Side by side with transformers, same weights"]
    decode, mel = pipeline.groups
    assert [(bar.name, bar.value, bar.text) for bar in decode.bars] == [
        ("q2a", 400.0, "400 tokens/s"),
        ("transformers", 100.0, "100 tokens/s"),
    ]
    assert decode.note == "ratio 4.00 (4.00 to 4.00), bar at least 3: met"
    assert mel.note.endswith("bar at most 1.5: missed")
    assert "mini (abc)" in pipeline.conditions
    assert "a chip" in pipeline.conditions
    assert "warm" in pipeline.notes
    growth = found["Time to first token grows with the clip"]
    assert growth.groups[0].note == "25.0 times as fast"
    assert "300 MB" in growth.notes[0]
    training = [group.what for group in found["Training speed"].groups]
    assert training == ["1 clip in a batch", "4 clips in a batch"]
    assert found["Training speed"].groups[0].note == "20.0 times as fast"
    assert [bar.text for bar in found["Many chats on one model"].groups[0].bars] == [
        "500 ms",
        "1.5 s",
    ]
    backward = found["Attention, forward and backward"].groups[0]
    assert [(bar.ours, bar.text) for bar in backward.bars] == [(True, "30 ms"), (False, "90 ms")]
    assert found["The real size, random weights"].notes == ("Not measured; it needs a GPU.",)


def test_figures_are_those_of_the_tables():
    table = to_markdown(REPORT)
    for group in charts(REPORT)[0].groups:
        for bar in group.bars:
            assert bar.text in table


def test_a_file_is_read_back_and_parts_may_be_missing(tmp_path):
    path = tmp_path / "bench.json"
    assert read_bench(path) is None
    path.write_text(json.dumps(REPORT), "utf-8")
    assert read_bench(path) == REPORT
    path.write_text(json.dumps({"large": REPORT["large"]}), "utf-8")
    assert len(charts(read_bench(path) or {})) == 1


def test_a_gpus_figures_stand_beside_those_without_one(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "data_samples", lambda: tmp_path)
    assert recorded_charts() == []
    (tmp_path / "bench.json").write_text(json.dumps(REPORT), "utf-8")
    alone = recorded_charts()
    assert alone == charts(REPORT)
    elsewhere = {"attention": {**REPORT["attention"], "device": "NVIDIA H100"}}
    (tmp_path / "bench_gpu.json").write_text(json.dumps(elsewhere), "utf-8")
    titles = [chart.title for chart in recorded_charts()]
    assert titles == [*(c.title for c in alone), *(c.title for c in charts(elsewhere))]
    assert "Attention on a GPU, forward" in titles
    both = {**elsewhere, "large": {"not_measured": "is too small"}}
    (tmp_path / "bench_gpu.json").write_text(json.dumps(both), "utf-8")
    assert [c.notes for c in recorded_charts() if c.title.startswith("The real size")] == [
        ("Not measured; it is too small.",)
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": []}', '{"growth": {}}', "\x00"])
def test_a_damaged_file_is_one_sentence(tmp_path, text):
    path = tmp_path / "bench.json"
    path.write_text(text, "utf-8")
    with pytest.raises(Q2AError, match=r"bench.json is no report of `q2a bench`; make it again"):
        read_bench(path)
