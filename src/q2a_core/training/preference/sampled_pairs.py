"""Preference pairs from the model itself: it answers the same question several times, the judge picks best and worst.

The paper's pairs were made by human annotators; the judge, who knows the scene, stands in for them, and writes the true
answer itself where none of the replies is good. Most pairs correct what the model would say by itself (the greedy
reply); of the others, whose greedy reply is right already, there is little to learn. Questions for things that are not
there come often, because saying yes to them is the habit that this stage is to break.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from q2a_core.inference import GenerationSettings, generate
from q2a_core.inference.batch import prompt_batch
from q2a_core.lengths import audio_tokens
from q2a_core.model import Qwen2Audio
from q2a_core.progress import OnProgress, unheard
from q2a_core.text import ChatFormat
from q2a_core.training.preference.pair_file import PreferencePair
from q2a_core.world.corpus import Corpus, Example
from q2a_core.world.judge import judge

ABSENT_SHARE = 0.35
"""Questions for something that is or is not there."""
LEAST_GAP = 2.0
"""Points between the two replies of a pair."""
GOOD = 9.0
"""Points below which the best reply gives way to the true answer."""
CORRECTIONS = 0.75
"""Share of the pairs, at least, in which the rejected reply is the greedy one."""
MAX_NEW_TOKENS = 40
PATIENCE = 15
"""Questions for each pair that is asked for, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How the model's own replies are drawn."""

    replies: int = 4
    """Replies to each question, the greedy one among them."""
    temperature: float = 1.0
    batch_size: int = 8
    """Questions at a time."""
    seed: int = 0


def sample_pairs(
    model: Qwen2Audio,
    chat_format: ChatFormat,
    corpus: Corpus,
    *,
    count: int,
    sampling: Sampling | None = None,
    on_progress: OnProgress = unheard,
) -> list[PreferencePair]:
    """`count` pairs about the model's own replies whose points differ enough; easy questions give none.

    Gives up after fifteen questions for each pair that was asked for, and returns what there is then.
    """
    sampling = sampling or Sampling()
    generator = torch.Generator().manual_seed(sampling.seed)
    rng = np.random.default_rng([sampling.seed, 17])
    pairs: list[PreferencePair] = []
    index, seen, others = 0, 0, 0

    def worth(example: Example, greedy: str) -> bool:
        """Others are drawn where they can make a pair: the answers to easy questions cost most of the time."""
        wrong = judge(example.scene, example.task, greedy).score < GOOD
        return wrong or others < (1 - CORRECTIONS) * count

    while len(pairs) < count and seen < PATIENCE * count:
        examples = []
        while len(examples) < sampling.batch_size:
            example = corpus.example(index)
            index += 1
            wanted = example.task.name == "is_there" or rng.random() > ABSENT_SHARE
            if example.samples is not None and wanted:
                examples.append(example)
        seen += len(examples)
        replies = sample_replies(model, chat_format, examples, sampling, generator, worth=worth)
        for example, drawn in zip(examples, replies, strict=True):
            pair = best_and_worst(example, drawn)
            if pair is None or len(pairs) == count:
                continue
            other = pair.rejected != drawn[0]
            if other and others >= (1 - CORRECTIONS) * count:
                continue
            others += other
            pairs.append(pair)
        on_progress(len(pairs), count)
    return pairs


def best_and_worst(example: Example, replies: list[str]) -> PreferencePair | None:
    """The best answer against the greedy reply, or where that is good against the worst; None if they are too close.

    `replies` are the model's, the greedy one first.
    """
    points = [judge(example.scene, example.task, reply).score for reply in replies]
    best = int(np.argmax(points))
    good = points[best] >= GOOD
    worst = 0 if points[0] < GOOD else int(np.argmin(points))
    chosen, most = (replies[best], points[best]) if good else (example.task.answer, 10.0)
    if most - points[worst] < LEAST_GAP or not replies[worst].strip():
        return None
    return PreferencePair(
        prompt=tuple(example.task.prompt),
        chosen=chosen,
        rejected=replies[worst],
        samples=example.samples,
    )


@torch.inference_mode()
def sample_replies(
    model: Qwen2Audio,
    chat_format: ChatFormat,
    examples: list[Example],
    sampling: Sampling,
    generator: torch.Generator,
    *,
    worth: Callable[[Example, str], bool] = lambda example, greedy: True,
) -> list[list[str]]:
    """Several replies to each example, the greedy one first; every clip is encoded once.

    Where the greedy reply is not `worth` others, it stays alone.
    """
    batch = prompt_batch(
        model,
        chat_format,
        [example.task.prompt for example in examples],
        [example.samples for example in examples if example.samples is not None],
    )
    counts = [audio_tokens(length) for length in batch["mel_lengths"].tolist()]
    audio_embeds = model.encode_audio(batch.pop("mel"), batch.pop("mel_lengths"))
    heard = audio_embeds.split(counts)
    settings = GenerationSettings(stop_ids=chat_format.stop_ids, max_new_tokens=MAX_NEW_TOKENS)

    def replies(settings: GenerationSettings, rows: list[int]) -> list[str]:
        found = generate(
            model,
            audio_embeds=torch.cat([heard[row] for row in rows]),
            settings=settings,
            generator=generator,
            **{name: values[rows] for name, values in batch.items()},
        )
        return [chat_format.tokenizer.decode(token_ids) for token_ids in found.token_ids]

    drawn = [[greedy] for greedy in replies(settings, list(range(len(examples))))]
    rows = [row for row, example in enumerate(examples) if worth(example, drawn[row][0])]
    rows *= sampling.replies - 1
    if rows:
        warm = replace(settings, temperature=sampling.temperature)
        for row, reply in zip(rows, replies(warm, rows), strict=True):
            drawn[row].append(reply)
    return drawn
