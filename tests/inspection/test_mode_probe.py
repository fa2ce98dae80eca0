"""From scenes to a probe a layer, and what steering along it does to the replies."""

import numpy as np
import pytest

from q2a_core import AudioChat
from q2a_core.inspection.linear_probe import LayerProbe, Share
from q2a_core.inspection.mode_probe import (
    ModeProbe,
    capture_states,
    mode_probe,
    probe_layers,
    prompt_of,
)
from q2a_core.inspection.mode_scenes import MODE_TASKS, mode_clips
from q2a_core.inspection.steering import decode_replies, opening, reply_kinds, steering_effects

TEXT, QUESTION, STATEMENT = (MODE_TASKS[name] for name in ("text", "question", "statement"))


@pytest.fixture(scope="module")
def chat(tiny_checkpoint) -> AudioChat:
    return AudioChat.from_pretrained(tiny_checkpoint)


@pytest.fixture(scope="module")
def short_clips():
    """Sounds alone, cut to what the tiny window holds."""
    clips = mode_clips(TEXT, count=24, seed=0, book=None)
    assert all(len(clip.samples) < 5 * 16_000 for clip in clips)
    return clips


def test_the_same_clip_with_and_without_a_question(short_clips):
    assert [clip.label for clip in short_clips] == [0, 1] * 12
    for alone, asked in zip(short_clips[::2], short_clips[1::2], strict=True):
        assert alone.text is None
        assert asked.text
        assert alone.group == asked.group
        assert np.array_equal(alone.samples, asked.samples)
    assert len({clip.text for clip in short_clips}) > 3, "no single wording gives the class away"
    assert len({clip.group for clip in short_clips}) == 12


def test_clips_follow_from_their_seed():
    first, again, other = (mode_clips(TEXT, count=4, seed=s, book=None) for s in (3, 3, 4))
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one.samples, two.samples)
        assert (one.text, one.group) == (two.text, two.group)
    assert not np.array_equal(first[0].samples, other[0].samples)


def test_spoken_classes_differ_in_what_they_say(grown_book):
    clips = mode_clips(STATEMENT, count=12, seed=0, book=grown_book)
    said = {item.text: item for item in grown_book.utterances}
    assert [clip.label for clip in clips] == [0, 1] * 6
    for clip in clips:
        assert clip.text is None
        assert bool(said[clip.group].question) == bool(clip.label)
        assert said[clip.group].language == "en"
    sounds = mode_clips(QUESTION, count=8, seed=0, book=grown_book)
    assert all((clip.group in said) == bool(clip.label) for clip in sounds)


def test_speech_needs_a_book():
    with pytest.raises(ValueError, match="needs speech"):
        mode_clips(QUESTION, count=2, seed=0, book=None)


def test_the_embedding_tells_nothing_and_the_blocks_tell_the_text(chat, short_clips):
    """At the last prompt position the token is the same: state 0 is chance by construction, whatever the weights."""
    states = capture_states(chat, short_clips)
    assert states.shape == (3, 24, chat.model.config.decoder.d_model)
    assert np.ptp(states[0], axis=0).max() == 0
    layers = probe_layers(states, short_clips, seed=0)
    assert [layer.layer for layer in layers] == [0, 1, 2]
    assert layers[0].accuracy.value == 0.5
    assert layers[1].accuracy.count == 12, "a clip counts once, however often it is asked about"


def test_a_probe_says_where_it_comes_from_and_counts_its_work(chat):
    steps = []
    probe = mode_probe(
        chat, TEXT, examples=20, seed=5, book=None, on_progress=lambda *step: steps.append(step)
    )
    assert probe.checkpoint_hash == chat.checkpoint.hash
    assert (probe.examples, probe.seed, probe.has_speech) == (20, 5, False)
    assert probe.best.accuracy.value == max(layer.accuracy.value for layer in probe.layers)
    assert steps == sorted(steps)
    assert steps[-1] == (40, 40)
    again = mode_probe(chat, TEXT, examples=20, seed=5, book=None)
    for one, two in zip(probe.layers, again.layers, strict=True):
        assert one.accuracy == two.accuracy
        np.testing.assert_array_equal(one.weights, two.weights)


def test_decoding_many_is_asking_each(chat, short_clips):
    prompts = [prompt_of(chat, clip) for clip in short_clips[:5]]
    asked = [
        chat.fork().ask(clip.samples, clip.text, sample_rate=16_000, max_new_tokens=24).text
        for clip in short_clips[:5]
    ]
    assert decode_replies(chat, chat.model, prompts) == asked


def test_kinds_are_how_replies_begin():
    replies = ["You said: cup.", "you said: dog.", "I hear rain.", "你说：猫。", "I hear a dog."]
    kinds = reply_kinds(replies, [0, 0, 1, 0, 0])
    assert kinds == {"you said:": 0, "i hear": 0, "你说": 0}
    assert opening("你说：狗") == "你说"
    assert opening("Rain.") == "rain."
    assert opening("Schließe das Fenster.") == "schließe das"
    assert opening("") == ""
    assert reply_kinds(["a b c", "a b"], [1, 1]) == {"a b": 1}


def test_effects_are_counted_against_the_replies_without_a_push(chat, short_clips, monkeypatch):
    """Replies by table: unpushed, class 0 says "zero ..." and class 1 "one ..."; pushed by 1 they turn, by 2 they
    break."""
    module = "q2a_core.inspection.steering"
    own = {0: "zero it is", 1: "one it is"}
    label_of = {}

    def told(chat, model, prompts):
        push = getattr(model, "push", 0.0)
        labels = [label_of[id(prompt)] for prompt in prompts]
        if abs(push) == 2:
            return ["xx yy"] * len(prompts)
        turned = abs(push) == 1
        assert not turned or all((push > 0) == (label == 0) for label in labels)
        return [own[1 - label if turned else label] for label in labels]

    def prompted(chat, clip):
        prompt = object()
        kept.append(prompt)
        label_of[id(prompt)] = clip.label
        return prompt

    class Pushed:
        def __init__(self, push):
            self.model = self
            self.push = push

    kept: list[object] = []
    monkeypatch.setattr(f"{module}.decode_replies", told)
    monkeypatch.setattr(f"{module}.prompt_of", prompted)
    monkeypatch.setattr(f"{module}.steer", lambda chat, layer, vector, s: Pushed(s))
    done = []
    effects = steering_effects(
        chat,
        short_clips[:10],
        1,
        np.ones(4),
        (0.0, 1.0, 2.0),
        on_progress=lambda *step: done.append(step),
    )
    assert [effect.turned.value for effect in effects] == [0, 1, 0]
    assert [effect.kept.value for effect in effects] == [1, 0, 0]
    assert [effect.unchanged.value for effect in effects] == [1, 0, 0]
    assert [effect.neither for effect in effects] == [0, 0, 1]
    assert done == [(1, 3), (2, 3), (3, 3)]


def test_no_strength_changes_no_reply(chat, short_clips):
    [effect] = steering_effects(chat, short_clips[:6], 1, np.ones(32), (0.0,))
    assert effect.unchanged.value == 1.0
    assert effect.turned.count == 6


def test_the_best_layer_is_the_earliest_of_equals():
    def layer(number: int, value: float) -> LayerProbe:
        return LayerProbe(
            layer=number,
            accuracy=Share(value=value, low=0, high=1, count=9),
            control=0.5,
            control_range=(0.4, 0.6),
            weights=np.ones(2),
            means=np.ones((2, 2)),
        )

    probe = ModeProbe(
        task=TEXT,
        layers=tuple(layer(n, v) for n, v in enumerate((0.5, 0.9, 0.9))),
        examples=9,
        seed=0,
        checkpoint="x",
        checkpoint_hash="y",
        seconds=1.0,
        has_speech=False,
    )
    assert probe.best.layer == 1
