"""Labels of a manifest that mean a sound of the world, in other words."""

from pathlib import Path

import pytest

from q2a_core.evaluation.manifest import Recording
from q2a_core.evaluation.recording_scores import score_answers
from q2a_core.evaluation.sound_labels import sound_meant, sound_names
from q2a_core.world.answers import NOUNS, PHRASES, bare


def accuracy_of(*replies: tuple[str, str], task: str = "sound") -> float:
    """Share of (truth, reply) that count as right in one manifest."""
    shared = {"file": "a.wav", "path": Path("a.wav"), "language": "en", "prompt": "?"}
    answered = [
        (Recording(line=number, task=task, truth=truth, **shared), reply)
        for number, (truth, reply) in enumerate(replies, 1)
    ]
    return score_answers(answered)[0]["score"]["value"]


@pytest.mark.parametrize("label", NOUNS)
def test_each_class_is_meant_by_its_label_its_noun_and_its_phrase(label):
    noun = bare(NOUNS[label])
    for said in (label, noun, PHRASES[label], label.title(), f"{noun}_sound"):
        assert sound_meant(said) == noun
    assert accuracy_of((label, f"This is the sound of {NOUNS[label]}.")) == 1
    others = [other for other in NOUNS.values() if bare(other) != noun]
    assert accuracy_of(*((label, f"This is the sound of {other}.") for other in others)) == 0


@pytest.mark.parametrize(
    ("label", "noun"),
    [
        *(("dog_bark", "dog"), ("barking", "dog"), ("police siren", "siren")),
        *(("church bell", "bell"), ("glass breaking", "breaking glass"), ("typing", "keyboard")),
        *(
            ("clock_tick", "clock"),
            ("door knock", "knocking"),
            ("throatclearing", "throat clearing"),
        ),
        *(("alarm clock", "alarm"), ("Crowing", "rooster"), ("laughing", "laughter")),
        *(("helicopter", "helicopter"), ("dog and cat", "dog and cat"), ("catapult", "catapult")),
    ],
)
def test_other_names_of_sounds(label, noun):
    assert sound_meant(label) == noun


def test_no_name_means_two_sounds():
    owners = {}
    for noun, names in sound_names().items():
        for name in names:
            assert owners.setdefault(name, noun) == noun


def test_labels_that_differ_in_form_are_no_rivals():
    said = "This is the sound of throat clearing."
    assert accuracy_of(("throat clearing", said), ("throat_clearing", said)) == 1
    assert accuracy_of(("helicopter", "a helicopter"), ("helicopter", "a dog, a helicopter")) == 0.5


@pytest.mark.parametrize(
    ("task", "truth", "right", "wrong"),
    [
        ("speaker", "female", "This is a woman.", "It is a man or a woman."),
        ("emotion", "joy", "The speaker sounds happy.", "anger, joy, sadness, fear, neutral"),
        ("emotion", "neutral", "The speaker sounds calm.", "The speaker sounds sad."),
        ("music", "piano", "This is a piano.", "a piano, a guitar and a flute"),
        ("question", "two", "It happens twice.", "It happens three times."),
        ("question", "two times", "twice", "once"),
        ("question", "2", "There are two.", "four"),
        ("question", "once", "One time.", "two times"),
    ],
)
def test_a_list_of_labels_is_no_answer_and_counts_have_two_names(task, truth, right, wrong):
    assert accuracy_of((truth, right), task=task) == 1
    assert accuracy_of((truth, wrong), task=task) == 0


def test_short_translations_are_scored_as_wholes_too():
    shared = {"file": "a.wav", "path": Path("a.wav"), "language": "en", "prompt": "?"}
    answered = [(Recording(line=1, task="translate", truth="five cats", **shared), "Five cats.")]
    rows = {row["metric"]: row["score"]["value"] for row in score_answers(answered)}
    assert rows == {"BLEU": 0.0, "word accuracy": 1.0, "truth in reply": 1.0}
