"""Sentences and the tokenizer's text: seeded, in normal form, and never in two splits."""

import collections
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from q2a_core.world.speech.lexicon import ENGLISH, first_world_words, plural
from q2a_core.world.speech.sentences import SPOKEN_QUESTIONS, sample_sentence, split_of_sentence
from q2a_core.world.tokenizer_text import tokenizer_text


def draw(split, count, seed=0):
    rng = np.random.default_rng(seed)
    return [sample_sentence(rng, split=split) for _ in range(count)]


@pytest.fixture(scope="module")
def train():
    return draw("train", 4000)


@pytest.fixture(scope="module")
def held_out():
    return draw("test", 1000)


def test_sentences_use_the_words_of_the_first_world_and_all_of_them(train, held_out):
    known = set(first_world_words())
    questions = {w for texts in SPOKEN_QUESTIONS.values() for text in texts for w in text.split()}
    heard = {word for text in train for word in text.split()}
    assert heard <= known
    assert questions <= known
    assert heard | questions == known
    assert all(text == " ".join(text.split()) for text in train + held_out)


def test_splits_share_no_sentence(train, held_out):
    assert set(train) & set(held_out) == set()
    assert {split_of_sentence(text) for text in train} == {"train"}
    assert {split_of_sentence(text) for text in held_out} == {"test"}


def test_single_words_are_heard_in_training_only(train, held_out):
    assert sum(" " not in text for text in train) > 500
    assert all(" " in text for text in held_out)


def test_about_a_seventh_of_the_sentences_is_held_out():
    texts = {f"the {a} sees a {b}" for a in first_world_words() for b in first_world_words()}
    share = sum(split_of_sentence(text) == "test" for text in texts) / len(texts)
    assert 0.13 < share < 0.17


def test_digit_strings_have_two_to_five_digits(train):
    digits = set(ENGLISH["numbers"][:10])
    lengths = collections.Counter(
        len(text.split()) for text in train if set(text.split()) <= digits and " " in text
    )
    assert set(lengths) == {2, 3, 4, 5}


def test_same_seed_same_sentences(train):
    assert draw("train", 300) == train[:300]
    assert draw("train", 300, seed=1) != train[:300]


def test_spoken_questions_are_split_too():
    train, held_out = SPOKEN_QUESTIONS["train"], SPOKEN_QUESTIONS["test"]
    assert "what is this sound" in train
    assert len(train) >= 10
    assert len(held_out) >= 4
    assert not set(train) & set(held_out)
    assert {w for text in held_out for w in text.split()} <= {
        w for text in train for w in text.split()
    }
    for split, questions in SPOKEN_QUESTIONS.items():
        assert {split_of_sentence(text) for text in questions} == {split}


def test_tokenizer_text_is_the_same_in_every_process():
    def digest(lines):
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    program = (
        "import hashlib; from q2a_core.world.tokenizer_text import tokenizer_text; "
        "print(hashlib.sha256('\\n'.join(tokenizer_text()).encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    fresh = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert fresh.stdout.strip() == digest(tokenizer_text())


def test_tokenizer_text_shows_nothing_held_out():
    lines = set(tokenizer_text())
    assert not lines & set(SPOKEN_QUESTIONS["test"])
    assert not lines & set(draw("test", 300))
    assert {"Detect the language and recognize the speech:", "I hear only silence."} <= lines
    assert {"This is the sound of a keyboard.", "Die Katze ist gelb.", "这是狗的声音。"} & lines


def test_a_tokenizer_trained_on_it_keeps_words_short():
    pytest.importorskip("tokenizers")
    from q2a_core.text.tokenizer_training import train_tokenizer

    tokenizer = train_tokenizer(tokenizer_text(), vocab_size=1536)
    for word in first_world_words():
        assert len(tokenizer.encode(word)) == 1
        assert len(tokenizer.encode(f" {word}")) == 1
    for text in ("Die Katze ist groß.", "这是狗的声音。", "Is it a dog?"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("dog", "dogs"),
        ("box", "boxes"),
        ("mouse", "mice"),
        ("sheep", "sheep"),
        ("brush", "brushes"),
    ],
)
def test_plurals(noun, expected):
    assert plural(noun) == expected
