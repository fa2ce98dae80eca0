"""The same clip in every mode, and a question spoken into it."""

import numpy as np
import pytest

from q2a_core import AudioChat, load_waveform
from q2a_core.errors import AudioError, SpeechError
from q2a_core.inspection.modes import (
    GAP_SECONDS,
    LOUDEST,
    MIXED_TEXT,
    QUESTION_LEVEL,
    QUESTION_VOICES,
    answer_turn,
    loud_level,
    mode_turns,
    speak_question,
    with_question,
)
from q2a_core.world.speech.voices_grown import grown_voices

RATE = 16_000


@pytest.fixture(scope="module")
def chat(tiny_checkpoint) -> AudioChat:
    return AudioChat.from_pretrained(tiny_checkpoint)


def clip(seconds: float = 0.5, seed: int = 0, level: float = 0.1):
    samples = level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return load_waveform(samples.clip(-1, 1).astype(np.float32), sample_rate=RATE)


def test_each_mode_gives_what_it_says(chat):
    sound, question = clip(0.8), clip(0.4, 1)
    turns = mode_turns(sound, text="What is this?", question=question)
    assert [turn.name for turn in turns] == [
        "voice chat",
        "audio analysis",
        "spoken question",
        "mixed",
    ]
    assert [turn.text for turn in turns] == [None, "What is this?", None, MIXED_TEXT]
    heard = [len(turn.waveform.samples) for turn in turns]
    asked = len(sound.samples) + len(question.samples) + round(GAP_SECONDS * RATE)
    assert heard == [len(sound.samples)] * 2 + [asked] * 2
    assert len({turn.given for turn in turns}) == 4
    for turn in turns:
        done = answer_turn(chat, turn)
        expected = chat.fork().ask(turn.waveform, turn.text, temperature=0.0)
        assert (done.reply.token_ids, done.reply.logps) == (expected.token_ids, expected.logps)
        assert len(done.pieces) == len(done.reply.logps)
        assert "".join(done.pieces) == done.reply.text


def test_without_a_question_to_hear_two_modes_are_left():
    assert len(mode_turns(clip(), text="What?", question=None)) == 2


def test_the_question_is_as_loud_as_the_clip_and_apart_from_it():
    sound, question = clip(0.8, level=0.02), clip(0.4, 1, level=0.2)
    after = with_question(sound, question).samples
    before = with_question(sound, question, question_first=True).samples
    size, gap = len(sound.samples), round(GAP_SECONDS * RATE)
    np.testing.assert_array_equal(after[:size], sound.samples)
    assert not after[size : size + gap].any()
    assert loud_level(after[size + gap :]) == pytest.approx(loud_level(sound.samples), rel=1e-4)
    np.testing.assert_allclose(after[size + gap :], 0.1 * question.samples, rtol=0.1, atol=1e-3)
    np.testing.assert_array_equal(before[-size:], sound.samples)
    np.testing.assert_array_equal(before[: len(question.samples)], after[size + gap :])


def test_beside_silence_the_question_has_a_level_of_its_own():
    silence = load_waveform(np.zeros(RATE, np.float32), sample_rate=RATE)
    spoken = with_question(silence, clip(0.4)).samples[-round(0.4 * RATE) :]
    assert loud_level(spoken) == pytest.approx(QUESTION_LEVEL, rel=1e-3)


def test_nothing_is_clipped():
    loud = load_waveform(np.where(np.arange(RATE) % 2, 1.0, -1.0), sample_rate=RATE)
    joined = with_question(loud, clip(0.5, level=0.01)).samples
    assert np.abs(joined).max() == pytest.approx(LOUDEST, rel=1e-6)
    assert joined.dtype == np.float32


def test_what_holds_a_spoken_question_is_cut_without_being_asked(chat):
    """The tiny window is 5 s."""
    for seconds in (4.9, 5.2):
        turns = mode_turns(clip(seconds), text="What?", question=clip(0.5, 1))
        for turn in turns[2:]:
            assert "cut into 2 clips" in " ".join(answer_turn(chat, turn).reply.notices)
    for turn in turns[:2]:
        with pytest.raises(AudioError, match="hears 5 s at once"):
            answer_turn(chat, turn)
        assert answer_turn(chat, turn, split=True).reply.token_ids


def test_questions_are_spoken_by_voices_that_training_never_heard():
    pytest.importorskip("espeakng_loader")
    assert set(QUESTION_VOICES.values()) <= set(grown_voices("test")) - set(grown_voices("train"))
    spoken = speak_question(" what  is this sound ", voice="a man")
    assert 0.5 < spoken.seconds < 3
    assert spoken.samples.dtype == np.float32
    assert spoken.name == "“what is this sound”"
    with pytest.raises(SpeechError, match="no words"):
        speak_question("  ")
