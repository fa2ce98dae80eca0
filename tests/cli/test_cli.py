"""The command line: answers, and one clear line with exit code 2 for every mistake."""

import json

import numpy as np
import pytest

from hostile_audio import HOSTILE_AUDIO
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


def test_ask_streams_an_answer_and_json_holds_all_of_it(q2a, clip, tiny_checkpoint):
    code, out, _ = q2a("ask", clip, "--model", tiny_checkpoint, "--max-new-tokens", 6)
    assert code == 0
    code, record, _ = q2a("ask", clip, "--model", tiny_checkpoint, "--max-new-tokens", 6, "--json")
    record = json.loads(record)
    assert code == 0
    assert record["text"].strip() == out.strip()
    assert len(record["token_ids"]) == len(record["logps"]) <= 6
    assert record["checkpoint"]["hash"]


def test_ask_takes_text_alone_and_several_clips(q2a, clip, tiny_checkpoint):
    assert q2a("ask", "--text", "Hello", "--model", tiny_checkpoint)[0] == 0
    code, out, _ = q2a("ask", clip, clip, "--text", "Which?", "--model", tiny_checkpoint, "--json")
    assert code == 0
    assert "Audio 2: " in json.loads(out)["prompt"]


def _is_one_line(err: str) -> bool:
    return err.startswith("q2a: ") and err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    ("name", "build", "fragment"), HOSTILE_AUDIO, ids=[row[0] for row in HOSTILE_AUDIO]
)
def test_a_clip_that_is_none_is_one_line_and_exit_code_2(
    q2a, tmp_path, tiny_checkpoint, name, build, fragment
):
    path = build(tmp_path)
    if "\0" in str(path):
        pytest.skip("a command line cannot carry a zero byte")
    code, out, err = q2a("ask", path, "--model", tiny_checkpoint)
    assert code == 2
    assert out == ""
    assert _is_one_line(err)
    assert fragment.lower() in err.lower()


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["ask"], "neither a clip nor text"),
        (["ask", "--text", "  "], "neither a clip nor text"),
        (["ask", "--text", "Hi", "--model", "nowhere"], "no checkpoint 'nowhere'"),
        (["ask", "--text", "Hi", "--model", "MODEL", "--device", "cuda:9"], "device 'cuda:9'"),
        (["ask", "--text", "Hi", "--model", "MODEL", "--device", "toaster"], "unknown device"),
        (["ask", "--text", "Hi", "--model", "MODEL", "--temperature", "-1"], "temperature is -1"),
        (["ask", "--text", "<|AUDIO|>", "--model", "MODEL"], "placeholder"),
        (["info", "nowhere"], "no checkpoint 'nowhere'"),
        (["eval", "--model", "nowhere"], "no checkpoint 'nowhere'"),
        (["eval", "--model", "MODEL", "--only", "opera"], "no suite is called 'opera'"),
        (["eval", "--suite", "first", "--only", "emotion"], "--only names suites"),
        (["bench", "--only", "decode", "--plot", "x.svg"], "add them to --only"),
        (["bench", "--only", "growth", "--plot", "x.doc"], "expected one of .png"),
        (["synth"], "no folder"),
        (["synth", "FOLDER", "--kind", "opera"], "kind is 'opera'"),
        (["synth", "FOLDER", "--split", "dev"], "split is 'dev'"),
        (["workbench", "--port", "0"], "port 0"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(q2a, tmp_path, tiny_checkpoint, arguments, fragment):
    places = {"MODEL": str(tiny_checkpoint), "FOLDER": str(tmp_path / "out")}
    code, out, err = q2a(*[places.get(argument, argument) for argument in arguments])
    assert code == 2
    assert out == ""
    assert _is_one_line(err)
    assert fragment in err


@pytest.mark.parametrize("arguments", [["sing"], ["ask", "--loud"], ["train"], ["train", "dance"]])
def test_misuse_of_the_command_line_is_exit_code_2(q2a, arguments):
    code, out, err = q2a(*arguments)
    assert code == 2
    assert "Traceback" not in out + err


def test_a_long_clip_is_refused_with_the_remedy_and_split_on_request(
    q2a, tmp_path, tiny_checkpoint
):
    path = tmp_path / "long.wav"
    write_wav(path, 0.1 * np.random.default_rng(0).standard_normal(7 * 16_000).astype(np.float32))
    code, _, err = q2a("ask", path, "--model", tiny_checkpoint)
    assert code == 2
    assert "split" in err
    code, out, err = q2a("ask", path, "--model", tiny_checkpoint, "--split", "--json")
    assert code == 0
    assert "Audio 2: " in json.loads(out)["prompt"]


def test_info_counts_what_the_checkpoint_holds(q2a, tiny_checkpoint, tiny_model):
    code, out, _ = q2a("info", tiny_checkpoint, "--json")
    assert code == 0
    record = json.loads(out)
    assert record["parameters"] == sum(parameter.numel() for parameter in tiny_model.parameters())
    assert record["rates"]["audio_tokens"] == 25
    assert f"{record['parameters']:,} parameters" in q2a("info", tiny_checkpoint)[1]


def test_info_lists_the_folders_and_clean_removes_them(q2a, tmp_path):
    folders = json.loads(q2a("info", "--paths", "--json")[1])
    assert folders["cache"].startswith(str(tmp_path / "home"))
    (tmp_path / "home" / "cache").mkdir(parents=True)
    (tmp_path / "home" / "runs").mkdir()
    assert q2a("clean", "--yes")[0] == 0
    assert not (tmp_path / "home" / "cache").exists()
    assert (tmp_path / "home" / "runs").exists()
    assert "nothing to remove" in q2a("clean", "--yes")[1]


def test_synth_writes_clips_with_their_truth(q2a, tmp_path, monkeypatch, small_test_book):
    monkeypatch.setattr("q2a_core.world.manifest.open_or_build", lambda *_, **__: small_test_book)
    code, out, _ = q2a("synth", tmp_path / "clips", "--count", 3, "--kind", "question")
    assert code == 0
    lines = [
        json.loads(line)
        for line in (tmp_path / "clips" / "manifest.jsonl").read_text("utf-8").splitlines()
    ]
    assert len(lines) == 3
    for line in lines:
        assert (tmp_path / "clips" / line["file"]).stat().st_size > 16_000
        assert line["text"]
        assert line["sounds"]
    assert "3 clips" in out
    assert "keyboard" in q2a("synth", "--list")[1]
