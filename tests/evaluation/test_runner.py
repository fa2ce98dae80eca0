"""A batch is asked as AudioChat asks one item: in the precision of the weights, with its own mel bins and window."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from parity.oracle import random_model
from q2a_core import AudioChat, presets
from q2a_core.checkpoint import save_checkpoint
from q2a_core.config import ModelConfig
from q2a_core.errors import TooLongError
from q2a_core.evaluation.items import Item
from q2a_core.evaluation.runner import MAX_NEW_TOKENS, answer
from q2a_core.world.scene import Scene
from q2a_core.world.task import compose

TINY = presets.tiny(vocab_size=448)
QUESTIONS = ("What is this sound?", None, "How many times?", "Is there a dog?")


def items(seconds: tuple[float, ...]) -> list[Item]:
    rng = np.random.default_rng(3)
    clips = [rng.normal(0, 0.1, round(16_000 * length)).astype(np.float32) for length in seconds]
    scene = Scene(kind="sound", split="test", seed=0, index=0, events=())
    return [
        Item(scene=scene, task=compose("name_sound", (question, "A dog.")), samples=clip)
        for question, clip in zip(QUESTIONS, clips, strict=False)
    ]


def written(config: ModelConfig, chat_format, directory: Path, seed: int = 1) -> Path:
    settings = {"max_new_tokens": 8}
    return save_checkpoint(
        random_model(config, seed), directory, chat_format=chat_format, generation_config=settings
    )


@pytest.mark.parametrize(
    ("encoder", "dtype"),
    [({}, "bfloat16"), ({"num_mel_bins": 80}, "float32"), ({"num_mel_bins": 80}, "bfloat16")],
    ids=str,
)
def test_a_batch_is_answered_as_one_by_one(encoder, dtype, chat_format, tmp_path):
    config = replace(TINY, encoder=replace(TINY.encoder, **encoder))
    chat = AudioChat.from_pretrained(written(config, chat_format, tmp_path / "a"), dtype=dtype)
    asked = items((1.0, 4.9, 0.3, 2.2))
    expected = [
        chat.fork().ask(
            item.samples,
            question,
            sample_rate=16_000,
            max_new_tokens=MAX_NEW_TOKENS,
            temperature=0.0,
        )
        for item, question in zip(asked, QUESTIONS, strict=True)
    ]
    assert chat.model.audio_encoder.conv1.weight.dtype == getattr(torch, dtype)
    assert answer(chat.checkpoint, chat.model, asked) == [reply.text for reply in expected]


def test_a_window_that_ends_with_the_clip_is_heard_as_its_end(chat_format, tmp_path):
    """The last frames before the window's end are mirrored there and nowhere else."""
    chat = AudioChat.from_pretrained(written(TINY, chat_format, tmp_path / "a"))
    asked = items((5.0,))
    expected = chat.ask(
        asked[0].samples,
        QUESTIONS[0],
        sample_rate=16_000,
        max_new_tokens=MAX_NEW_TOKENS,
        temperature=0.0,
    )
    assert answer(chat.checkpoint, chat.model, asked) == [expected.text]


def test_a_clip_beyond_the_window_is_refused_before_anything_is_asked(chat_format, tmp_path):
    chat = AudioChat.from_pretrained(written(TINY, chat_format, tmp_path / "a"))
    asked: list[int] = []
    with pytest.raises(TooLongError, match=r"a clip lasts 8 s; the model hears 5 s at once"):
        answer(chat.checkpoint, chat.model, items((1.0, 8.0)), tick=asked.append)
    assert asked == []
    assert answer(chat.checkpoint, chat.model, []) == []
