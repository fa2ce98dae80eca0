"""The shipped clips: every one has a question that training knows and a true answer that the judge takes."""

import pytest

from q2a_core.audio import load_waveform
from q2a_core.inspection import read_gallery
from q2a_core.world.judge import judge
from q2a_core.world.sample_scenes import SAMPLE_SCENES, Said
from q2a_core.world.samples import asked_of, sample_scene, write_samples
from q2a_core.world.speech import build_book
from q2a_core.world.speech.lexicon import english_words
from q2a_core.world.task import compose
from q2a_core.world.wordings import PROMPTS


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    pytest.importorskip("espeakng_loader")
    plan = [
        event.utterance(number)
        for number, sample in enumerate(SAMPLE_SCENES)
        for event in sample.events
        if isinstance(event, Said)
    ]
    return build_book(plan, tmp_path_factory.mktemp("samples"), workers=1)


def test_names_are_unique_and_english_words_are_known():
    assert len({sample.name for sample in SAMPLE_SCENES}) == len(SAMPLE_SCENES)
    said = [event for sample in SAMPLE_SCENES for event in sample.events if isinstance(event, Said)]
    words = {word for event in said if event.language == "en" for word in event.words.split()}
    assert words <= set(english_words())


@pytest.mark.parametrize("number", range(len(SAMPLE_SCENES)))
def test_the_judge_takes_the_true_answer(book, number):
    sample = SAMPLE_SCENES[number]
    scene = sample_scene(sample, number, book)
    question, answer = asked_of(sample, scene)
    if question is not None:
        wordings = (PROMPTS[sample.ask].official, *PROMPTS[sample.ask].train)
        assert any(question.startswith(wording.split("{}")[0]) for wording in wordings)
    task = compose(sample.ask or "voice_chat", (question, answer))
    assert judge(scene, task, answer).score >= 9
    assert judge(scene, task, "I do not know.").score <= 1 or scene.kind in ("silence", "noise")


def test_what_is_written_can_be_read(tmp_path, monkeypatch, book):
    from q2a_core import paths

    assert write_samples(tmp_path) == len(SAMPLE_SCENES)
    monkeypatch.setattr(paths, "data_samples", lambda: tmp_path)
    gallery = read_gallery()
    assert [sample.name for sample in gallery] == [sample.name for sample in SAMPLE_SCENES]
    for sample in gallery:
        assert abs(load_waveform(sample.path).seconds - sample.seconds) < 0.01
    labels = {sample.name: sample.label for sample in gallery}
    assert labels["voice_over_rain"] == 'rain with "the bottle is black"', "at once"
    assert labels["owl_then_drill"] == "an owl, then a drill"
