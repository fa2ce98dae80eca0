"""Losses by task: their sum is the training loss, and exchanged clips keep questions and answers."""

import numpy as np
import pytest
import torch

from q2a_core.checkpoint import open_checkpoint
from q2a_core.training.batches import collate, encode_example
from q2a_core.training.supervised import BY_TASK, Supervised
from q2a_core.training.task_losses import task_losses, with_next_clip
from q2a_core.world.corpus import Corpus


@pytest.fixture(scope="module")
def examples(grown_book):
    corpus = Corpus(grown_book, "train", seed=3, stage="sft")
    drawn = [corpus.example(index) for index in range(16)]
    # the tiny model's window is 5 s
    return [e for e in drawn if e.samples is None or len(e.samples) < 78_000]


def test_they_are_what_training_counts(examples, tiny_checkpoint):
    checkpoint = open_checkpoint(str(tiny_checkpoint))
    found = task_losses(checkpoint, examples)
    model = checkpoint.load_model()
    objective = Supervised(model, ctc_weight=0.0, seed=0).eval()
    pad_id = checkpoint.chat_format.tokenizer.token_id("<|endoftext|>") or 0
    encoded = [encode_example(e, checkpoint.chat_format, None) for e in examples]
    batch = collate(encoded, pad_id=pad_id)
    with torch.inference_mode():
        due = objective(batch)
    counts = objective.counts(batch)
    assert sum(found.counts.values()) == counts["loss"]
    assert found.loss == pytest.approx(float(due["loss"]) / counts["loss"], rel=1e-4)
    for task, mean in found.means().items():
        expected = float(due[BY_TASK + task]) / counts[BY_TASK + task]
        assert mean == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_exchanged_clips_keep_the_dialogue(examples):
    moved = with_next_clip(examples)
    heard = [k for k, example in enumerate(examples) if example.samples is not None]
    for place, k in enumerate(heard):
        assert moved[k].task is examples[k].task
        other = examples[heard[(place + 1) % len(heard)]]
        np.testing.assert_array_equal(moved[k].samples, other.samples)
    for k in set(range(len(examples))) - set(heard):
        assert moved[k].samples is None
