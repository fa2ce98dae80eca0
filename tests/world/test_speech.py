"""Speech: voices and plans split cleanly, books reproducible, failures told in a sentence."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from q2a_core.errors import SpeechError
from q2a_core.world import speech
from q2a_core.world.speech import (
    Utterance,
    UtteranceBook,
    build_book,
    espeak,
    open_or_build,
    plan_hash,
    plan_utterances,
    speak,
    voices,
)
from q2a_core.world.speech.voices import TEST_ACCENTS, TEST_VARIANTS, TRAIN_ACCENTS, TRAIN_VARIANTS

COUNT, SHARD = 24, 8


@pytest.fixture(scope="module")
def engine():
    pytest.importorskip("espeakng_loader")


@pytest.fixture(scope="module")
def plan():
    # the breathy voices come first: their noise is what an unseeded engine changes from run to run
    names = ("f3", "f5", "Alicia", "sandro", "whisper", "whisperf")
    breathy = [
        Utterance(text="what is this sound", voice=f"en-us+{name}", rate=150, pitch=50)
        for name in names
    ]
    return breathy + plan_utterances("train", count=COUNT - len(breathy), seed=3, level="first")


@pytest.fixture(scope="module")
def book(engine, plan, tmp_path_factory):
    directory = tmp_path_factory.mktemp("book")
    return build_book(plan, directory, workers=1, shard_size=SHARD)


def variant(voice):
    return voice.partition("+")[2]


def test_test_voices_are_new_timbres_and_one_is_a_new_accent():
    train, test = voices("train"), voices("test")
    assert len(set(train)) == len(train) >= 150
    assert not {variant(name) for name in train} & {variant(name) for name in test}
    assert len(TEST_VARIANTS) == 12
    assert len(set(TEST_ACCENTS) - set(TRAIN_ACCENTS)) == 1


def test_a_plan_follows_from_split_count_and_seed():
    plan = plan_utterances("train", count=COUNT, seed=3, level="first")
    assert plan_utterances("train", count=COUNT, seed=3, level="first") == plan
    assert plan_utterances("train", count=COUNT + 5, seed=3, level="first")[:COUNT] == plan
    assert plan_utterances("train", count=COUNT, seed=4, level="first") != plan
    assert plan_hash(plan) != plan_hash(plan[:-1])


def test_plans_of_the_two_splits_share_no_text_and_no_voice():
    train = plan_utterances("train", count=2000, seed=0, level="first")
    test = plan_utterances("test", count=500, seed=0, level="first")
    assert not {item.text for item in train} & {item.text for item in test}
    assert not {item.voice for item in train} & {item.voice for item in test}
    assert {item.voice for item in train} == set(voices("train"))
    assert all(120 <= item.rate <= 220 and 20 <= item.pitch <= 80 for item in train + test)


def test_the_engine_has_every_voice_we_name(engine):
    import espeakng_loader

    names = {path.name for path in Path(espeakng_loader.get_data_path(), "voices/!v").iterdir()}
    assert {*TRAIN_VARIANTS, *TEST_VARIANTS} - {""} <= names
    with espeak.EspeakProcess() as process:
        assert process.version.startswith("1.")
        for accent in TEST_ACCENTS:
            samples = process.speak("red dog", voice=f"{accent}+f3")
            assert samples.size > 4000


def test_book_holds_the_plan_in_order_and_clean_clips(book, plan):
    assert len(book) == COUNT
    assert book.utterances == plan
    for number in range(COUNT):
        utterance, samples = book[number]
        assert utterance == plan[number]
        assert samples.dtype == np.int16
        assert 0.15 < samples.size / 16_000 < 8
        loud = np.flatnonzero(
            np.abs(samples.astype(int)) > 0.02 * np.abs(samples.astype(int)).max()
        )
        # margins of 50 ms, a little more where the voice fades
        assert loud[0] < 0.2 * 16_000
        assert samples.size - loud[-1] < 0.25 * 16_000


def test_a_shard_that_also_kept_word_times_opens(book, plan, tmp_path):
    for path in book.directory.iterdir():
        shutil.copy(path, tmp_path)
    for path in tmp_path.glob("shard-*.json"):
        table = json.loads(path.read_text("utf-8"))
        table["utterances"] = [{**entry, "words": [[0, 0.05]]} for entry in table["utterances"]]
        path.write_text(json.dumps(table), "utf-8")
    assert UtteranceBook.open(tmp_path).utterances == plan
    kept = (tmp_path / "shard-00000.npy").stat().st_mtime_ns
    assert build_book(plan, tmp_path, shard_size=SHARD).hash == book.hash
    assert (tmp_path / "shard-00000.npy").stat().st_mtime_ns == kept


def test_same_plan_same_hash_with_two_workers(book, plan, tmp_path):
    seen = []
    other = build_book(
        plan,
        tmp_path,
        workers=2,
        shard_size=SHARD,
        on_progress=lambda done, all_: seen.append((done, all_)),
    )
    assert other.hash == book.hash
    assert seen == [(number + 1, COUNT) for number in range(COUNT)]


def test_a_lost_or_damaged_shard_is_spoken_again_and_the_others_are_kept(book, plan, tmp_path):
    build_book(plan, tmp_path, workers=2, shard_size=SHARD)
    kept = (tmp_path / "shard-00001.npy").stat().st_mtime_ns
    (tmp_path / "shard-00000.npy").unlink()
    damaged = tmp_path / "shard-00002.npy"
    damaged.write_bytes(damaged.read_bytes()[:-2] + b"\x7f\x7f")
    with pytest.raises(SpeechError, match="damaged at shard-00000"):
        UtteranceBook.open(tmp_path)
    again = build_book(plan, tmp_path, workers=2, shard_size=SHARD)
    assert again.hash == book.hash
    assert (tmp_path / "shard-00001.npy").stat().st_mtime_ns == kept
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_another_process_speaks_the_same_book_at_another_time(book, plan, tmp_path):
    program = (
        "from q2a_core.world.speech import Utterance, build_book; import json, sys; "
        "plan = [Utterance(**item) for item in json.load(sys.stdin)]; "
        f"print(build_book(plan, sys.argv[1], shard_size={SHARD}).hash)"
    )
    # the engine's own seed is the clock's second
    time.sleep(1)
    fresh = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        input=json.dumps([asdict(item) for item in plan]),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert fresh.stdout.strip() == book.hash


def test_a_book_travels_to_a_worker_by_its_path(book):
    parcel = pickle.dumps(book)
    assert len(parcel) < 1000
    copy = pickle.loads(parcel)
    assert copy.hash == book.hash
    np.testing.assert_array_equal(copy[5][1], book[5][1])


def test_open_or_build_speaks_once(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))
    first = open_or_build("test", count=3, seed=0, level="first")
    assert first.directory.is_relative_to(tmp_path)

    def refuse(*_args, **_kwargs):
        raise AssertionError("spoke again")

    monkeypatch.setattr(speech, "build_book", refuse)
    assert open_or_build("test", count=3, seed=0, level="first").hash == first.hash


def test_speak_gives_float_samples(engine):
    samples = speak("seven cups", voice="en-us+f3", rate=160, pitch=50)
    assert samples.dtype == np.float32
    assert 0.4 < samples.size / 16_000 < 2
    assert 0.05 < np.abs(samples).max() <= 1
    # a fresh process each time: the same samples each time
    np.testing.assert_array_equal(samples, speak("seven cups", voice="en-us+f3"))


@pytest.mark.parametrize("voice", ["en-us+nosuch", "nosuch", "en-gb", "en-us+mr serious", "en-us+"])
def test_an_unknown_voice_is_refused(engine, voice):
    with pytest.raises(SpeechError, match="voice"):
        speak("red dog", voice=voice)


def test_nothing_to_say_is_refused(engine):
    with pytest.raises(SpeechError, match="says nothing"):
        speak(" ")


def test_an_unknown_voice_in_a_plan_ends_the_build(engine, plan, tmp_path):
    bad = Utterance(text="red dog", voice="en-us+nosuch", rate=160, pitch=50)
    with pytest.raises(SpeechError, match="nosuch"):
        build_book([*plan, bad], tmp_path, workers=2, shard_size=SHARD)
    assert not (tmp_path / "book.json").exists()


def test_a_crashed_and_a_silent_process_are_told(engine, monkeypatch):
    with espeak.EspeakProcess() as process:
        process.process.kill()
        process.process.wait()
        with pytest.raises(SpeechError, match="ended early"):
            process.speak("red dog", voice="en-us")
    monkeypatch.setattr(espeak, "REQUEST_TIMEOUT", 0.0)
    with espeak.EspeakProcess() as process, pytest.raises(SpeechError, match="in time"):
        process.speak("the dog sees a red cup " * 200, voice="en-us")


def test_a_missing_engine_is_told(monkeypatch, tmp_path):
    (tmp_path / "espeakng_loader.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SpeechError, match="pip install espeakng-loader"):
        espeak.EspeakProcess()


def test_a_full_disk_is_told(engine, plan, tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SpeechError, match="No space left"):
        build_book(plan[:2], tmp_path)


def test_what_is_no_book_is_refused(tmp_path, plan):
    with pytest.raises(SpeechError, match="no finished book"):
        UtteranceBook.open(tmp_path)
    (tmp_path / "book.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(SpeechError, match="no finished book"):
        UtteranceBook.open(tmp_path)
    for half in ({}, {"hash": "a", "engine": "b"}, {"hash": "a", "engine": "b", "shards": [1]}):
        (tmp_path / "book.json").write_text(json.dumps({"format": 1} | half))
        with pytest.raises(SpeechError, match="is damaged; build it again"):
            UtteranceBook.open(tmp_path)
    with pytest.raises(SpeechError, match="empty plan"):
        build_book([], tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a process by signal 0")
def test_the_engine_ends_with_its_parent(engine):
    program = (
        "from q2a_core.world.speech.espeak import EspeakProcess; import time; "
        "engine = EspeakProcess(); print(engine.process.pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    for _ in range(200):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        # a container without an init process leaves the ended child as a zombie
        if (
            Path(f"/proc/{child}/stat").is_file()
            and " Z " in Path(f"/proc/{child}/stat").read_text()
        ):
            return
        time.sleep(0.05)
    pytest.fail("the engine outlived its parent")


def test_only_the_worker_knows_the_engine():
    room = Path(speech.__file__).parent
    for path in room.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        if path.name != "espeak_process.py":
            assert "import espeakng_loader" not in source
            assert "import espeak_process" not in source
            assert "ctypes" not in source


@pytest.mark.parametrize(
    "name",
    [
        *("lexicon", "voices", "sentences", "utterances", "utterance_book", "levels"),
        *("espeak", "espeak_process", "books"),
    ],
)
def test_speech_stands_on_lower_floors_only(name):
    source = (Path(speech.__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    rooms = {
        line.split()[1].split(".")[1]
        for line in source.splitlines()
        if line.startswith("from q2a_core")
    }
    assert rooms <= {"errors", "files", "lengths", "paths", "progress", "world"}
