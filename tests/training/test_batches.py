"""From examples to tensors."""

import itertools
from dataclasses import dataclass

import pytest
import torch

from q2a_core import lengths
from q2a_core.errors import RunError
from q2a_core.training import step_batches
from q2a_core.training.batch_workers import steps_from
from q2a_core.training.batches import CorpusBatches, collate, encode_example
from q2a_core.training.step_batches import MEGABATCH, StepBatches
from q2a_core.world.corpus import Corpus
from q2a_core.world.prompts import TASKS
from q2a_core.world.speech.spelling import LETTERS


@pytest.fixture
def batches(small_book, chat_format) -> CorpusBatches:
    return CorpusBatches(
        Corpus(small_book, "train", seed=0, level="first"), chat_format, batch_size=3, seed=0
    )


def test_the_same_megabatch_is_the_same_and_another_seed_another(batches, small_book, chat_format):
    again = CorpusBatches(
        Corpus(small_book, "train", seed=0, level="first"), chat_format, batch_size=3, seed=0
    )
    other = CorpusBatches(
        Corpus(small_book, "train", seed=1, level="first"), chat_format, batch_size=3, seed=1
    )
    for [mine], [same] in zip(batches[2], again[2], strict=True):
        assert torch.equal(mine.input_ids, same.input_ids)
        assert torch.equal(mine.mel, same.mel)
    assert not all(
        mine.input_ids.shape == same.input_ids.shape and torch.equal(mine.input_ids, same.input_ids)
        for [mine], [same] in zip(batches[2], other[2], strict=True)
    )


def test_placeholders_labels_and_letters_fit_the_clips(batches, chat_format):
    tokenizer = chat_format.tokenizer
    end = tokenizer.token_id("<|im_end|>")
    for [batch] in batches[0]:
        placeholders = (batch.input_ids == chat_format.audio_token_id).sum()
        assert int(placeholders) == int(lengths.audio_tokens(batch.mel_lengths).sum())
        assert batch.mel.shape[2] >= lengths.conv_mel_frames(int(batch.mel_lengths.max()))
        for row, labels in zip(batch.input_ids, batch.labels, strict=True):
            learned = labels[labels != -100].tolist()
            assert learned[-1] == end
            assert chat_format.audio_token_id not in learned
            text = tokenizer.decode(learned)
            assert text
            assert (
                text in tokenizer.decode(row.tolist()).replace("\n", "") or learned.count(end) > 1
            )
        for spelled, count in zip(batch.letters, batch.letter_lengths.tolist(), strict=True):
            word = "".join(LETTERS[letter - 1] for letter in spelled[:count].tolist())
            assert word == word.strip()


@pytest.mark.parametrize("stage", ["pretrain", "sft"])
def test_every_labelled_token_knows_which_question_it_answers(grown_book, chat_format, stage):
    corpus = Corpus(grown_book, "train", seed=2, stage=stage)
    seen = 0
    for index in range(60):
        example = corpus.example(index)
        batch = collate([encode_example(example, chat_format, None)], pad_id=0)
        replies = [m["content"] for m in example.task.messages if m["role"] == "assistant"]
        assert len(replies) == len(example.task.turns)
        wanted = [
            (TASKS.index(turn), token)
            for turn, reply in zip(example.task.turns, replies, strict=True)
            for token in chat_format.tokenizer.encode(f"{reply}<|im_end|>")
        ]
        labelled = batch.labels[0] != -100
        places = batch.label_tasks[0][labelled].tolist()
        tokens = batch.labels[0][labelled].tolist()
        assert list(zip(places, tokens, strict=True)) == wanted
        assert not batch.label_tasks[0][~labelled].any()
        seen += len(replies) > 1
    assert seen > 10, "several turns are part of both stages"


def test_a_run_can_start_at_any_step(batches):
    first = list(itertools.islice(steps_from(batches, start=0, workers=0), MEGABATCH + 2))
    [later] = next(steps_from(batches, start=MEGABATCH + 1, workers=0))
    assert torch.equal(first[MEGABATCH + 1][0].input_ids, later.input_ids)


def _rows(batches) -> list[list[int]]:
    return [labels[labels != -100].tolist() for batch in batches for labels in batch.labels]


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "processes"),
    [
        *((2, 3, 1), (6, 1, 2), (2, 3, 2), (2, 3, 3)),
        *((8, 2, 1), (16, 1, 2), (4, 4, 2), (8, 4, 4), (16, 1, 3), (4, 4, 3)),
    ],
)
def test_a_step_holds_the_same_dialogues_however_it_is_cut(
    small_book, chat_format, monkeypatch, batch_size, accumulate, processes
):
    monkeypatch.setattr(step_batches, "MEGABATCH", 3)
    corpus = Corpus(small_book, "train", seed=0, level="first")
    size = batch_size * accumulate
    whole = CorpusBatches(corpus, chat_format, batch_size=size, seed=0)[1]
    cut = CorpusBatches(corpus, chat_format, batch_size=batch_size, accumulate=accumulate, seed=0)
    shares = []
    for rank in range(processes):
        cut.deal(rank, processes)
        shares.append(cut[1])
    for step in range(3):
        pieces = [batch for share in shares for batch in share[step]]
        assert len({len(share[step]) for share in shares}) == 1, "all take as many micro-batches"
        assert sorted(_rows(pieces)) == sorted(_rows(whole[step]))
        assert sum(len(piece.input_ids) for piece in pieces) == size
        assert max(len(piece.input_ids) for piece in pieces) <= batch_size


def test_processes_draw_no_clips_for_each_other(small_book, chat_format, monkeypatch):
    corpus = Corpus(small_book, "train", seed=0, level="first")
    drawn = []
    example = Corpus.example
    monkeypatch.setattr(Corpus, "example", lambda s, i: drawn.append(i) or example(s, i))
    for rank in range(2):
        share = CorpusBatches(corpus, chat_format, batch_size=16, seed=0)
        share.deal(rank, 2)
        share[1]
    assert sorted(drawn) == list(range(16 * MEGABATCH, 32 * MEGABATCH))


def test_a_step_smaller_than_the_processes_is_refused(batches):
    with pytest.raises(RunError, match="3 dialogues for 4 processes; expected at least one each"):
        batches.deal(0, 4)


@dataclass(frozen=True)
class _Number:
    cost: int


class _Numbers(StepBatches):
    """Steps of whole numbers."""

    def draw(self, numbers, rng):
        return [_Number(number) for number in numbers]

    def collate(self, examples):
        assert examples, "a micro-batch of nothing"
        return examples


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 5, 8])
def test_every_process_has_as_many_micro_batches_and_none_is_empty(chat_format, processes):
    """Or all processes refuse the run, before it begins."""
    refused = set()
    for batch_size, accumulate in itertools.product(range(1, 9), repeat=2):
        batches = _Numbers(chat_format, batch_size=batch_size, accumulate=accumulate, seed=0)
        shares = []
        for rank in range(processes):
            try:
                batches.deal(rank, processes)
            except RunError:
                refused.add((batch_size, accumulate))
                continue
            shares.append(batches[0])
        if not shares:
            continue
        assert len(shares) == processes
        for pieces in zip(*shares, strict=True):
            assert len({len(piece) for piece in pieces}) == 1
            sizes = [len(batch) for piece in pieces for batch in piece]
            assert sum(sizes) == batch_size * accumulate
            assert 1 <= min(sizes) <= max(sizes) <= batch_size
    uneven = {(1, n) for n in range(processes, 9) if n % processes}
    assert refused == uneven | {
        (b, a) for b, a in itertools.product(range(1, 9), repeat=2) if b * a < processes
    }


def test_micro_batches_that_not_all_processes_can_have_are_refused(chat_format):
    batches = _Numbers(chat_format, batch_size=1, accumulate=3, seed=0)
    with pytest.raises(RunError, match=r"3 micro-batches of one dialogue for 2 .* a multiple of 2"):
        batches.deal(1, 2)


def test_sorting_keeps_padding_small(small_book, chat_format):
    batches = CorpusBatches(
        Corpus(small_book, "train", seed=0, level="first"), chat_format, batch_size=8, seed=0
    )
    padded = sum(len(batch.mel_lengths) * int(batch.mel_lengths.max()) for [batch] in batches[0])
    heard = sum(int(batch.mel_lengths.sum()) for [batch] in batches[0])
    drawn = [batches.corpus.example(index) for index in range(MEGABATCH * 8)]
    frames = [lengths.mel_frames(len(e.samples)) for e in drawn if e.samples is not None]
    unsorted = sum(8 * max(frames[i : i + 8]) for i in range(0, len(frames), 8))
    assert padded / heard < 1.25
    assert padded < unsorted
