"""The first world: scenes, their clips and their dialogues, one truth."""

from collections import Counter

import numpy as np
import pytest

from q2a_core.lengths import MIN_SAMPLES, SAMPLE_RATE
from q2a_core.world.answers import TIMES
from q2a_core.world.corpus import Corpus
from q2a_core.world.first_world.sampler import FirstSampler
from q2a_core.world.first_world.tasks import NOUNS, make_task, sample_task, voice_chat_answer
from q2a_core.world.render import MAX_SECONDS, render
from q2a_core.world.speech import plan_utterances
from q2a_core.world.speech.sentences import SPOKEN_QUESTIONS, split_of_sentence
from q2a_core.world.speech.voices import voices


@pytest.fixture(scope="module")
def sampler(small_book):
    return FirstSampler(small_book.utterances, "train", seed=3)


def test_a_scene_follows_from_its_index_alone(small_book, sampler):
    forwards = [sampler.scene(index) for index in range(30)]
    again = FirstSampler(small_book.utterances, "train", seed=3)
    assert [again.scene(index) for index in reversed(range(30))] == forwards[::-1]
    assert [
        FirstSampler(small_book.utterances, "train", seed=4).scene(i) for i in range(30)
    ] != forwards


def test_clips_are_repeatable_finite_and_within_bounds(small_book, sampler):
    for index in range(25):
        scene = sampler.scene(index)
        one, two = render(scene, small_book), render(scene, small_book)
        assert np.array_equal(one.samples, two.samples)
        assert one.samples.dtype == np.float32
        assert np.isfinite(one.samples).all()
        assert np.abs(one.samples).max(initial=0) <= 1
        assert MIN_SAMPLES <= len(one.samples) <= 1.3 * MAX_SECONDS * SAMPLE_RATE
        assert [placed.event for placed in one.placed] == list(scene.events)
        assert scene.kind != "silence" or not one.samples.any()


def test_speech_is_audible_where_it_was_placed(small_book):
    sampler = FirstSampler(small_book.utterances, "test", seed=1, kinds=("speech",))
    from dataclasses import replace

    for index in range(8):
        scene = replace(sampler.scene(index), background=None, strength=0.0)
        clip = render(scene, small_book)
        placed = clip.placed[0]
        start, stop = (int(t * SAMPLE_RATE) for t in (placed.onset, placed.onset + placed.seconds))
        inside = np.square(clip.samples[start:stop]).mean()
        outside = np.square(np.concatenate([clip.samples[:start], clip.samples[stop:]])).mean()
        assert inside > 100 * outside


def test_dialogues_say_what_the_scene_holds(sampler):
    rng = np.random.default_rng(0)
    names = Counter()
    for index in range(400):
        scene = sampler.scene(index)
        task = sample_task(scene, rng)
        names[task.name] += 1
        sound, speech = scene.first("sound"), scene.first("speech")
        if task.name == "transcribe" and speech is not None:
            assert task.answer == speech.label
        if task.name == "name_sound" and sound is not None:
            assert NOUNS[sound.label] in task.answer
        if task.name == "count":
            assert TIMES[sound.count] in task.answer
        if task.name == "is_there":
            asked = task.prompt[-1]["content"][-1]["text"]
            assert task.answer.startswith("Yes") == (f" {NOUNS[sound.label]}" in asked)
            assert NOUNS[sound.label] in task.answer
        assert (
            sum(
                part["type"] == "audio"
                for m in task.prompt
                if m["role"] == "user"
                for part in m["content"]
            )
            == 1
        )
    assert set(names) == {
        "transcribe",
        "voice_chat",
        "name_sound",
        "count",
        "is_there",
        "answer_speech",
    }


def test_voice_chat_answers_questions_and_acknowledges_statements(small_book):
    rng = np.random.default_rng(0)
    for kind in ("question", "speech", "both", "sound"):
        scene = FirstSampler(small_book.utterances, "train", seed=2, kinds=(kind,)).scene(0)
        task = make_task(scene, "voice_chat", rng)
        assert [part["type"] for part in task.prompt[-1]["content"]] == ["audio"]
        assert task.answer == voice_chat_answer(scene)
        assert task.answer.startswith(
            "You said" if kind in ("speech", "both") else "This is the sound"
        )


def test_no_voice_sentence_or_question_of_the_test_split_is_trained_on():
    train = plan_utterances("train", count=4000, seed=0, level="first")
    test = plan_utterances("test", count=600, seed=0, level="first")
    assert not {item.voice for item in train} & {item.voice for item in test}
    assert not {item.text for item in train} & {item.text for item in test}
    assert not set(voices("train")) & set(voices("test"))
    assert not set(SPOKEN_QUESTIONS["train"]) & set(SPOKEN_QUESTIONS["test"])
    assert all(split_of_sentence(item.text) == "test" for item in test)


def test_the_same_index_of_the_two_splits_has_other_seeds(small_book):
    train = FirstSampler(small_book.utterances, "train", seed=0).scene(5).rng(1)
    test = FirstSampler(small_book.utterances, "test", seed=0).scene(5).rng(1)
    assert train.random() != test.random()


def test_the_corpus_hands_over_clip_dialogue_and_words(small_book):
    corpus = Corpus(small_book, "train", seed=0, level="first")
    kinds = Counter()
    for index in range(120):
        example = corpus.example(index)
        kinds[example.scene.kind] += 1
        if example.samples is None:
            assert example.task.name == "greet"
        else:
            assert example.transcript == example.scene.transcript
    assert kinds["speech"] > kinds["sound"] > 0
