"""Choosing between two replies: by button, by call, taken back, and handed on as pairs."""

import numpy as np
import pytest

from q2a_core.audio.waveform import Waveform
from q2a_core.inference import AudioChat
from q2a_core.teaching.widgets.choose import Chooser, TwoReplies, choose_replies
from q2a_core.training.preference.own_pairs import write_pairs
from q2a_core.training.preference.pair_file import read_pairs


def sound(hertz: float) -> Waveform:
    samples = np.sin(np.arange(8000) * hertz / 2500).astype(np.float32) * np.float32(0.1)
    return Waveform(samples=samples, source_rate=16_000, channels=1, name=f"{hertz:g} Hz")


@pytest.fixture
def chooser() -> Chooser:
    return Chooser(
        [
            TwoReplies(name="low", waveform=sound(200), prompt=None, texts=("A dog.", "A cat.")),
            TwoReplies(name="high", waveform=sound(900), prompt="What?", texts=("Yes.", "No.")),
        ]
    )


def test_choices_become_pairs_that_training_reads(chooser, tmp_path):
    assert chooser.pairs == []
    chooser.choose(1, 1)
    chooser.choose(0, 0)
    pairs = read_pairs(write_pairs(chooser.pairs, tmp_path))
    assert [(p.chosen, p.rejected) for p in pairs] == [("A dog.", "A cat."), ("No.", "Yes.")]
    np.testing.assert_allclose(pairs[1].waveform(), sound(900).samples, atol=1e-4)
    chooser.choose(0, None)
    assert [pair.chosen for pair in chooser.pairs] == ["No."]
    assert "*1 “No.”" in repr(chooser)
    for place, better in ((2, 0), (0, 2), (-1, 0)):
        with pytest.raises(ValueError, match="expected one of 2 clips"):
            chooser.choose(place, better)


def test_buttons_do_the_same(chooser):
    rows = chooser.widget().children
    first, second = rows[0].children[2].children
    first.value = True
    assert chooser.better == {0: 0}
    second.value = True
    assert (chooser.better, first.value) == ({0: 1}, False)
    assert (first.description, second.description) == ("A dog.", "✔ A cat."), "not by shade alone"
    again = chooser.widget().children[0].children
    assert [button.description for button in again[2].children] == ["A dog.", "✔ A cat."]
    assert again[2].layout.flex_flow == "row wrap", "a narrow page has them one below the other"
    assert rows[-1].value.startswith("1 of 2 chosen")
    second.value = False
    assert chooser.better == {}
    assert "high, What?" in chooser._repr_mimebundle_()["text/plain"]


def test_replies_are_drawn_by_the_checkpoint(tiny_checkpoint):
    chat = AudioChat.from_pretrained(str(tiny_checkpoint))
    drawn = choose_replies(chat, {"low": sound(200)}, temperature=1.5, seed=3).drawn
    assert drawn[0].texts[0] != drawn[0].texts[1]
    again = choose_replies(chat, {"low": sound(200)}, temperature=1.5, seed=3).drawn
    assert drawn[0].texts == again[0].texts
    assert choose_replies(chat, {"low": sound(200)}, temperature=0.0).drawn == []
