"""The grown world: plans, splits, voices, feelings and a small book."""

import collections
import hashlib
import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from q2a_core.errors import SpeechError
from q2a_core.world.speech import (
    UtteranceBook,
    book_directory,
    build_book,
    open_or_build,
    recorded_voices,
    sentences_grown,
)
from q2a_core.world.speech.espeak import EspeakProcess
from q2a_core.world.speech.levels import plan_utterances
from q2a_core.world.speech.lexicon import english_words
from q2a_core.world.speech.prosody import EMOTIONS, express, settings
from q2a_core.world.speech.questions_grown import QUESTIONS_GROWN
from q2a_core.world.speech.recorded_engines import RECORDED, installed
from q2a_core.world.speech.recorded_voices import speak_recorded
from q2a_core.world.speech.sentences_grown import number_words
from q2a_core.world.speech.utterances import Utterance, from_record, plan_hash, to_record
from q2a_core.world.speech.voices_grown import (
    F0,
    TEST_ACCENTS_GROWN,
    TEST_VARIANTS_GROWN,
    TRAIN_ACCENTS_GROWN,
    TRAIN_VARIANTS_GROWN,
    grown_voices,
    trait_of,
    variant_of,
)
from q2a_core.world.tokenizer_text import tokenizer_text

COUNT = 60
ONE_VOICE = """
import sys, wave
with wave.open(sys.argv[sys.argv.index("-o") + 1], "wb") as file:
    file.setparams((1, 2, 24000, 2400, "NONE", ""))
    file.writeframes(b"\\x01\\x02" * 2400)
"""


WRITES_DOWN = """
import array, sys, wave
said = sys.argv[sys.argv.index("--lang") + 1] + " " + sys.stdin.read()
with wave.open(sys.argv[sys.argv.index("--wave") + 1], "wb") as file:
    file.setparams((1, 2, 16000, len(said), "NONE", ""))
    file.writeframes(array.array("h", list(said.encode())).tobytes())
"""


def install(monkeypatch, program: Path, source: str) -> None:
    """Let `program` be the only one that is found."""
    program.write_text(f"#!{sys.executable}\n{source}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    recorded_voices._check_voices.cache_clear()


@pytest.fixture(scope="module")
def train():
    return plan_utterances("train", count=6000, seed=0)


@pytest.fixture(scope="module")
def held_out():
    return plan_utterances("test", count=1500, seed=0)


@pytest.fixture(scope="module")
def book(train, tmp_path_factory):
    pytest.importorskip("espeakng_loader")
    return build_book(train[:COUNT], tmp_path_factory.mktemp("grown"), workers=2, shard_size=20)


def english_of(item):
    return item.text if item.language == "en" else item.translation("en")


def median_f0(samples):
    """Median pitch in hertz of the loud frames, by autocorrelation; None where hardly voiced."""
    x = samples.astype(float)
    size, found = 640, []
    floor = 0.3 * np.sqrt(np.mean(x**2))
    for start in range(0, x.size - size, 160):
        frame = x[start : start + size]
        if np.sqrt(np.mean(frame**2)) < floor:
            continue
        power = np.abs(np.fft.rfft(frame - frame.mean(), 2048)) ** 2
        match = np.fft.irfft(power)[:270]
        match *= size / (size - np.arange(270)) / (match[0] + 1e-9)
        places = np.arange(32, 266)
        best = match[places].max()
        peaks = [
            p for p in places if match[p] > 0.9 * best and match[p] >= match[[p - 1, p + 1]].max()
        ]
        if best > 0.5 and peaks:
            found.append(16_000 / peaks[0])
    return float(np.median(found)) if len(found) > 15 else None


def test_the_first_world_and_the_tokenizer_are_what_they_were():
    first = partial(plan_utterances, seed=0, level="first")
    assert plan_hash(first("train", count=200)).startswith("004e3c20e2b56835")
    assert plan_hash(first("test", count=60)).startswith("808ead50b5977e40")
    directory = book_directory("train", count=100, seed=0, level="first")
    assert directory.name == "train-100-0-766b1c71ce41-espeak-0.2.4"
    text = hashlib.sha256("\n".join(tokenizer_text()).encode()).hexdigest()
    assert text.startswith("8ab48b121d9c9829")


def test_a_first_world_utterance_is_stored_as_it_was():
    item = Utterance(text="red dog", voice="en-us", rate=150, pitch=50)
    assert to_record(item) == {"text": "red dog", "voice": "en-us", "rate": 150, "pitch": 50}


def test_records_are_read_back(train):
    assert [from_record(to_record(item) | {"samples": 3}) for item in train[:300]] == train[:300]


def test_a_shorter_plan_is_the_beginning_of_a_longer_one(train):
    assert plan_utterances("train", count=100, seed=0) == train[:100]
    assert plan_utterances("train", count=100, seed=1) != train[:100]
    with pytest.raises(SpeechError, match="no world"):
        plan_utterances("train", count=1, seed=0, level="huge")  # type: ignore[arg-type]


def test_splits_share_no_text_of_several_words_and_no_voice(train, held_out):
    for language in ("en", "de", "zh"):
        seen, other = (
            {
                item.text
                for item in plan
                if item.language == language and " " in (english_of(item) or "")
            }
            for plan in (train, held_out)
        )
        assert len(other) > 50
        assert not seen & other
    meanings, others = (
        {text for item in plan for text in (item.text, *dict(item.translations).values())}
        for plan in (train, held_out)
    )
    assert [text for text in meanings & others if " " in text] == []
    variants, others = ({variant_of(item.voice) for item in plan} for plan in (train, held_out))
    assert not variants & others
    assert others == set(TEST_VARIANTS_GROWN)


def test_all_words_are_heard_and_single_ones_in_both_splits(train, held_out):
    heard = collections.Counter(
        word for item in train if item.language == "en" for word in item.text.split()
    )
    # 6,000 utterances are less than a third of a training run
    assert len(set(english_words()) - set(heard)) < 8
    assert len(heard) >= 250
    singles = [item for item in train if " " not in (english_of(item) or "")]
    assert 0.28 < len(singles) / len(train) < 0.42
    assert sum(" " not in item.text for item in held_out if item.language == "en") > 100
    assert max(len(item.text.split()) for item in train) <= 10


def test_no_word_that_is_heard_sounds_like_another(train, held_out):
    heard = {
        word for item in train + held_out if item.language == "en" for word in item.text.split()
    }
    for group in (
        "two to too",
        "hear here",
        "no know",
        "four for",
        "one won",
        "eight ate",
        "see sea",
    ):
        assert len(heard & set(group.split())) == 1


def test_shares_of_languages_emotions_and_questions(train):
    languages = collections.Counter(item.language for item in train)
    assert 0.71 < languages["en"] / len(train) < 0.79
    assert 0.1 < languages["de"] / len(train) < 0.15
    questions = [item for item in train if item.question]
    assert 0.14 < len(questions) / len(train) < 0.18
    assert {item.question for item in questions} == set(QUESTIONS_GROWN)
    assert all(item.language == "en" for item in questions)
    english = [item for item in train if item.language == "en"]
    emotions = collections.Counter(item.emotion for item in english)
    assert 0.5 < emotions["neutral"] / len(english) < 0.6
    assert set(emotions) == set(EMOTIONS)
    assert all((item.strength > 0) == (item.emotion != "neutral") for item in train)
    assert all(item.emotion == "neutral" for item in train if item.language != "en")


def test_translations_are_complete(train, held_out):
    for item in train + held_out:
        languages = [language for language, _ in item.translations]
        if item.language != "en":
            assert languages == ["en"]
        elif item.translations:
            assert languages == ["de", "zh"]
        assert all(text for _, text in item.translations)
    english = [item for item in train if item.language == "en" and not item.question]
    assert 0.35 < sum(bool(item.translations) for item in english) / len(english) < 0.45


def test_questions_have_wordings_for_both_splits_and_no_other_text_is_one(train, held_out):
    wordings = [
        text for kind in QUESTIONS_GROWN.values() for texts in kind.values() for text in texts
    ]
    assert len(set(wordings)) == len(wordings)
    for kind in QUESTIONS_GROWN.values():
        assert len(kind["train"]) >= 6
        assert len(kind["test"]) >= 2
    for split, plan in (("train", train), ("test", held_out)):
        for item in plan:
            if item.question:
                assert item.text in QUESTIONS_GROWN[item.question][split]
            else:
                assert item.text not in wordings


def test_texts_are_in_normal_form_and_every_slot_is_filled(train):
    for item in train:
        assert item.text == " ".join(item.text.split())
        assert not set(item.text) & set("{}_?.!")
        if item.language == "en":
            assert item.text == item.text.lower()
    slots = {
        slot[2]
        for _, templates in sentences_grown.TEMPLATES
        for text in templates
        for slot in sentences_grown.SLOT.finditer(text)
    }
    rng = np.random.default_rng(0)
    assert all(sentences_grown._fill(rng, slot) is not None for slot in slots)
    assert set(sentences_grown.POOLS) | set(sentences_grown.CHOICES) <= slots


@pytest.mark.parametrize(
    ("number", "joined", "words"),
    [
        (0, False, "zero"),
        (17, False, "seventeen"),
        (342, False, "three hundred forty two"),
        (305, True, "three hundred and five"),
        (21_400, False, "twenty one thousand four hundred"),
        (7_000_000, True, "seven million"),
    ],
)
def test_numbers_in_full(number, joined, words):
    assert number_words(number, joined=joined) == words


def test_voices_are_many_and_the_held_out_ones_new():
    voices, others = grown_voices("train"), grown_voices("test")
    assert len(set(voices)) == len(voices) >= 400
    assert len(grown_voices("train", "de")) == len(TRAIN_VARIANTS_GROWN)
    assert not {variant_of(name) for name in voices} & {variant_of(name) for name in others}
    assert len(set(TEST_ACCENTS_GROWN) - set(TRAIN_ACCENTS_GROWN)) == 1
    assert set(F0) == {*TRAIN_VARIANTS_GROWN, *TEST_VARIANTS_GROWN}


def test_traits_by_name_and_pitch():
    assert trait_of("en-us+m3") == "man"
    assert trait_of("en-us+f3") == "woman"
    assert trait_of("en-us+f3", size=1.4, pitch=60) == "child"
    assert trait_of("en-us+zac") == "child"
    assert trait_of("en-us+shelby") is None
    assert trait_of("en-us+m3", pitch=99) is None
    assert trait_of("en-us+f3", pitch=10) is None


def test_every_trait_is_drawn_in_both_splits(train, held_out):
    for plan in (train, held_out):
        traits = collections.Counter(item.trait for item in plan)
        assert min(traits[trait] for trait in ("man", "woman", "child")) > 0.04 * len(plan)


@pytest.mark.parametrize("emotion", [name for name in EMOTIONS if name != "neutral"])
def test_every_emotion_changes_the_samples_and_no_length(emotion):
    rng = np.random.default_rng(0)
    tone = np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000)
    samples = np.rint(6000 * tone * np.hanning(16_000)).astype(np.int16)
    changed = express(samples, emotion, 0.8, np.random.default_rng(1))
    assert changed.dtype == np.int16
    assert changed.shape == samples.shape
    assert np.abs(changed.astype(int) - samples).max() > 500
    again = express(samples, emotion, 0.8, np.random.default_rng(1))
    np.testing.assert_array_equal(changed, again)
    np.testing.assert_array_equal(express(samples, emotion, 0.0, rng), samples)


@pytest.mark.parametrize(
    ("emotion", "name", "low", "high"),
    [
        ("neutral", "pitch_range", 30, 65),
        ("neutral", "rate", 105, 195),
        ("anger", "pitch_range", 78, 99),
        ("joy", "pitch", 74, 92),
        ("sadness", "pitch_range", 0, 12),
        ("sadness", "pitch", 8, 28),
        ("fear", "rate", 215, 260),
        ("fear", "pitch", 80, 97),
    ],
)
def test_what_the_engine_is_told_at_full_strength(emotion, name, low, high):
    rng = np.random.default_rng(0)
    values = [getattr(settings(rng, emotion, 1.0), name) for _ in range(100)]
    assert low <= min(values) < max(values) <= high


def test_the_small_book_holds_the_plan(book, train, tmp_path):
    assert book.utterances == train[:COUNT]
    assert UtteranceBook.open(book.directory).hash == book.hash
    for number in range(COUNT):
        assert 0.15 < book[number][1].size / 16_000 < 6
    again = build_book(train[:COUNT], tmp_path, workers=1, shard_size=20)
    assert again.hash == book.hash


def test_traits_agree_with_the_measured_pitch(book, train):
    bounds = {"man": (50, 160), "woman": (155, 260), "child": (255, 500)}
    right = []
    for number, item in enumerate(train[:COUNT]):
        f0 = median_f0(book[number][1])
        if item.trait and f0 is not None:
            low, high = bounds[item.trait]
            right.append(low < f0 < high)
    assert len(right) > 20
    assert np.mean(right) >= 0.9


def test_open_or_build_speaks_the_grown_world(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")
    monkeypatch.setenv("Q2A_HOME", str(tmp_path))
    book = open_or_build("test", count=3, seed=0)
    assert book.directory.name.startswith("grown-test-3-0-")
    assert book.utterances == plan_utterances("test", count=3, seed=0)


def test_size_and_melody_are_heard():
    pytest.importorskip("espeakng_loader")
    how = {"voice": "en-us+f3", "rate": 150, "pitch": 50}
    with EspeakProcess() as engine:
        plain, flat, small = (
            engine.speak("nine long yellow rooms", **how, **change)
            for change in ({}, {"pitch_range": 0}, {"size": 1.4})
        )
    assert 1.3 < plain.size / small.size < 1.5
    assert median_f0(small) > 1.25 * median_f0(plain)
    assert median_f0(flat) < 0.92 * median_f0(plain)


@pytest.mark.parametrize("engine", RECORDED)
def test_recorded_voices_speak_a_part_of_the_training_in_their_languages_when_asked(train, engine):
    mixed = plan_utterances("train", count=2000, seed=0, engines=("espeak", engine))
    for language in ("en", "de", "zh"):
        said = [item for item in mixed if item.language == language]
        voices = RECORDED[engine].voices_of(language)
        share = np.mean([item.engine == engine for item in said])
        assert abs(share - (RECORDED[engine].share if voices else 0)) < 0.06
        assert {item.voice for item in said if item.engine == engine} == set(voices)
    assert [item.text for item in mixed] == [item.text for item in train[:2000]]
    kept = [(a, b) for a, b in zip(mixed, train, strict=False) if a.engine == "espeak"]
    assert all(a == b for a, b in kept)
    other = plan_utterances("test", count=50, seed=0, engines=("espeak", engine))
    assert {item.engine for item in other} == {"espeak"}


def test_a_second_recorded_engine_leaves_the_first_what_it_speaks():
    how = {"count": 1000, "seed": 0}
    alone = plan_utterances("train", engines=("espeak", "flite"), **how)
    both = plan_utterances("train", engines=("espeak", "flite", "rhvoice"), **how)
    for one, other in zip(alone, both, strict=True):
        assert other == one or (one.engine, other.engine) == ("espeak", "rhvoice")
    assert any(item.engine == "rhvoice" for item in both)


def test_a_program_that_speaks_with_another_voice_is_found_out(monkeypatch, tmp_path):
    # as RHVoice does when the voice asked for is not installed
    install(monkeypatch, tmp_path / "RHVoice-test", ONE_VOICE)
    with pytest.raises(SpeechError, match="sound the same"):
        speak_recorded("red dog", engine="rhvoice", voice="clb", rate=160, pitch=50)


@pytest.mark.parametrize("engine", RECORDED)
def test_an_engine_without_its_program_is_told(monkeypatch, engine):
    monkeypatch.setenv("PATH", "")
    voice = next(iter(RECORDED[engine].voices))
    assert not installed(engine)
    with pytest.raises(SpeechError, match=re.escape(RECORDED[engine].install)):
        speak_recorded("red dog", engine=engine, voice=voice, rate=160, pitch=50)
    with pytest.raises(SpeechError, match="no voice"):
        speak_recorded("red dog", engine=engine, voice="bob", rate=160, pitch=50)


def test_pico_is_told_speed_and_pitch_in_its_markup(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path / "pico2wave", WRITES_DOWN)
    samples, rate = speak_recorded("the cat & me", engine="pico", voice="en-GB", rate=200, pitch=70)
    assert rate == 16_000
    said = samples.astype("u1").tobytes().decode()
    assert said.startswith("en-GB <speed level='125'><pitch level='120'>the cat &amp; me</pitch>")


@pytest.mark.parametrize("engine", RECORDED)
def test_a_recorded_voice_says_the_same_twice(tmp_path, engine):
    if not installed(engine):
        pytest.skip(f"{engine} is not installed")
    plan = plan_utterances("train", count=60, seed=0, engines=("espeak", engine))
    plan = [item for item in plan if item.engine == engine][:6]
    books = [build_book(plan, tmp_path / name, workers=1) for name in ("a", "b")]
    assert books[0].hash == books[1].hash
    assert all(0.15 < books[0][number][1].size / 16_000 < 6 for number in range(len(plan)))
