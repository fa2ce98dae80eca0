"""The command line: answers, and one clear line with exit code 2 for every mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hostile_audio import HOSTILE_AUDIO
from q2a_core import Qwen2Audio, presets
from q2a_core.audio import write_wav
from q2a_core.checkpoint import save_checkpoint
from q2a_core.teaching import launch
from q2a_core.teaching.progress import passed_exercises


def test_ask_streams_an_answer_and_json_holds_all_of_it(q2a, clip, tiny_checkpoint):
    code, out, _ = q2a("ask", clip, "--model", tiny_checkpoint, "--max-new-tokens", 6)
    assert code == 0
    code, record, _ = q2a("ask", clip, "--model", tiny_checkpoint, "--max-new-tokens", 6, "--json")
    record = json.loads(record)
    assert code == 0
    assert record["text"].strip() == out.strip()
    assert len(record["token_ids"]) == len(record["logps"]) <= 6
    assert record["checkpoint"]["hash"]


def test_ask_says_when_a_reply_may_be_a_guess(q2a, clip, tiny_checkpoint, monkeypatch):
    from q2a_core.inference import Reply

    code, out, err = q2a("ask", clip, "--model", tiny_checkpoint)
    logps = json.loads(q2a("ask", clip, "--model", tiny_checkpoint, "--json")[1])["logps"]
    sure = np.exp(np.mean(logps))
    assert code == 0
    assert sure < 0.6, "random weights know nothing"
    assert f"note: low confidence ({100 * sure:.0f}%): this may be a guess\n" in err
    assert "confidence" not in out
    monkeypatch.setattr(Reply, "confidence", 0.6)
    assert "confidence" not in q2a("ask", clip, "--model", tiny_checkpoint)[2]


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
        (["trace", "--model", "MODEL"], "name another folder for its traces"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(q2a, tmp_path, tiny_checkpoint, arguments, fragment):
    places = {"MODEL": str(tiny_checkpoint), "FOLDER": str(tmp_path / "out")}
    code, out, err = q2a(*[places.get(argument, argument) for argument in arguments])
    assert code == 2
    assert out == ""
    assert _is_one_line(err)
    assert fragment in err


MISUSES = [
    ["sing"],
    ["ask", "--loud"],
    ["train"],
    ["train", "dance"],
    ["synth", "x", "--seed", "-1"],
    ["ask", "--text", "Hi", "--seed", str(2**70)],
]


@pytest.mark.parametrize("arguments", MISUSES)
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
    assert err.rstrip().endswith("several clips of one turn: add --split")
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


def test_clean_takes_nothing_that_may_be_another_programs(q2a, tmp_path, monkeypatch):
    theirs = tmp_path / "home" / "cache" / "theirs"
    theirs.mkdir(parents=True)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    code, _, err = q2a("clean", "--yes")
    assert code == 2
    assert str(theirs.parent) in err
    assert theirs.is_dir()


def test_clean_takes_nothing_from_a_run_that_is_being_trained(q2a, tmp_path):
    from q2a_core.training.runs.presence import present

    run, book = tmp_path / "home" / "runs" / "mine", tmp_path / "home" / "cache" / "book"
    book.mkdir(parents=True)
    with present(run):
        for options in ((), ("--runs",)):
            code, _, err = q2a("clean", "--yes", *options)
            assert code == 2
            assert _is_one_line(err)
            assert "mine is being trained" in err
    assert run.is_dir()
    assert book.is_dir()
    assert q2a("clean", "--yes", "--runs")[0] == 0
    assert not run.exists()
    assert not book.exists()


def test_synth_writes_clips_with_their_truth(q2a, tmp_path, monkeypatch, small_test_book):
    monkeypatch.setattr("q2a_core.world.manifest.open_or_build", lambda *_, **__: small_test_book)
    code, out, _ = q2a(
        "synth", tmp_path / "clips", "--count", 3, "--kind", "question", "--level", "first"
    )
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


def test_made_clips_can_be_scored(q2a, tmp_path, monkeypatch, small_test_book, tiny_checkpoint):
    monkeypatch.setattr("q2a_core.world.manifest.open_or_build", lambda *_, **__: small_test_book)
    folder = tmp_path / "clips"
    assert q2a("synth", folder, "--count", 4, "--level", "first")[0] == 0
    options = ["--clips", folder, "--manifest", folder / "manifest.jsonl", "--json"]
    code, out, err = q2a("eval", "--model", tiny_checkpoint, *options)
    assert code == 0, err
    report = json.loads(out)
    assert (report["n"], report["failures"]) == (4, [])


def test_a_suite_beyond_the_window_is_one_line(
    q2a, tmp_path, monkeypatch, small_test_book, chat_format
):
    monkeypatch.setattr(
        "q2a_core.evaluation.first_world.open_or_build", lambda *_, **__: small_test_book
    )
    model = Qwen2Audio(presets.tiny(vocab_size=448, max_source_positions=50))
    model.init_weights(torch.Generator().manual_seed(0))
    short = save_checkpoint(model, tmp_path / "short", chat_format=chat_format)
    code, out, err = q2a("eval", "--model", short, "--suite", "first", "--count", 4)
    assert (code, out) == (2, "")
    assert _is_one_line(err), err
    assert "the model hears 1 s at once. Choose shorter clips, or a checkpoint with" in err


def test_a_manifest_is_not_written_over_unasked(q2a, tmp_path, monkeypatch, small_test_book):
    monkeypatch.setattr("q2a_core.world.manifest.open_or_build", lambda *_, **__: small_test_book)
    (tmp_path / "manifest.jsonl").write_text("my truth", "utf-8")
    code, out, err = q2a("synth", tmp_path, "--count", 1, "--level", "first")
    assert (code, out) == (2, "")
    assert "already holds a manifest.jsonl; choose another folder" in err
    assert (tmp_path / "manifest.jsonl").read_text("utf-8") == "my truth"
    assert q2a("synth", tmp_path, "--count", 1, "--level", "first", "--replace")[0] == 0


def test_what_the_system_refuses_is_one_line(q2a, tmp_path, monkeypatch, small_test_book):
    monkeypatch.setattr("q2a_core.world.manifest.open_or_build", lambda *_, **__: small_test_book)
    (tmp_path / "clips" / "manifest.jsonl").mkdir(parents=True)
    code, out, err = q2a("synth", tmp_path / "clips", "--count", 1, "--level", "first")
    assert (code, out) == (2, "")
    assert _is_one_line(err), err
    assert "manifest.jsonl: Is a directory; expected a place that can be read and written" in err


def test_a_home_that_is_no_folder_is_one_line(q2a, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("Q2A_HOME", str(tmp_path / "file"))
    for arguments in (["synth", tmp_path / "clips"], ["lesson", "reset", 1]):
        code, out, err = q2a(*arguments)
        assert (code, out) == (2, "")
        assert _is_one_line(err), err


def test_damaged_progress_counts_for_nothing(q2a, tmp_path):
    path = tmp_path / "home" / "lessons" / "progress.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"01.frames": [], "01.tokens": "x", "a": NaN, "b": 1e300, "c": 5}', "utf-8")
    assert q2a("lesson", "list")[0] == 0
    assert passed_exercises() == {"c": 5.0}
    path.write_text("[" * 100_000, "utf-8")
    assert passed_exercises() == {}


def test_what_is_printed_into_a_file_is_utf_8(tmp_path):
    code = (
        "from q2a_core.cli import main; import sys; sys.argv = ['q2a', 'synth', '--list']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
    )
    assert done.returncode == 0, done.stderr.decode()
    assert "Mandarin: " in done.stdout.decode("utf-8")


@pytest.mark.parametrize(
    ("asked", "found"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "active"}, "ACTIVE")]
)
def test_a_trainings_threads_sleep_while_they_wait_unless_told_otherwise(asked, found):
    """By the word of OpenMP itself, which reads it when torch is imported."""
    command = [sys.executable, "-m", "q2a_core.cli", "train", "sft", "--start", "nowhere"]
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment | {"OMP_DISPLAY_ENV": "TRUE"} | asked,
    )
    assert "no checkpoint 'nowhere'" in done.stderr
    if "OMP_WAIT_POLICY" not in done.stderr:
        pytest.skip("this system's OpenMP does not tell")
    assert f"OMP_WAIT_POLICY = '{found}'" in done.stderr


def test_a_package_that_is_missing_or_broken_is_one_line(q2a, monkeypatch):
    monkeypatch.delitem(sys.modules, "q2a_core.checkpoint.describe", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = q2a("info", "mini")
    assert code == 2
    assert _is_one_line(err)
    assert "the package torch is missing" in err
    assert "q2a doctor" in err


def test_a_faulty_import_of_our_own_keeps_its_traceback(q2a, monkeypatch):
    monkeypatch.setitem(sys.modules, "q2a_core.checkpoint.describe", None)
    with pytest.raises(ImportError):
        q2a("info", "mini")


def test_a_lesson_opens_for_root_as_jupyterlab_says(q2a, monkeypatch):
    """In a container everybody is root, whom JupyterLab tells: use --allow-root."""
    started: list[list[str]] = []
    monkeypatch.setattr(
        "q2a_core.teaching.launch.serve", lambda command: started.append(command) or 0
    )
    assert q2a("lesson", "open", 0, "--no-browser")[0] == 0
    assert q2a("lesson", "open", 0, "--no-browser", "--allow-root")[0] == 0
    assert started[1] == [*started[0], "--allow-root"]


def test_the_address_that_jupyterlab_prints_leads_to_the_lesson(q2a, monkeypatch):
    started: list[list[str]] = []
    monkeypatch.setattr(
        "q2a_core.teaching.launch.serve", lambda command: started.append(command) or 0
    )
    assert q2a("lesson", "open", 3, "--no-browser")[0] == 0
    copy = next(word for word in started[0] if word.endswith(".ipynb") and "=" not in word)
    assert f"--LabApp.default_url=/lab/tree/{Path(copy).name}" in started[0]


@pytest.mark.parametrize(
    ("package", "words"), [("streamlit", ["workbench"]), ("jupyterlab", ["lesson", "open", 0])]
)
def test_a_server_that_is_not_installed_is_named(q2a, monkeypatch, package, words):
    monkeypatch.setattr(launch, "check_address", lambda host, port: None)
    monkeypatch.setattr(launch, "find_spec", lambda name: None)
    code, _, err = q2a(*words, "--no-browser")
    assert code == 2
    assert f"the package {package} is missing" in err
    assert "q2a doctor" in err
