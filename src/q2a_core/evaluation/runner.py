"""Ask a checkpoint every item once: greedy replies, batched by length."""

from collections.abc import Callable

import torch

from q2a_core.checkpoint import Checkpoint
from q2a_core.evaluation.items import Item
from q2a_core.inference import GenerationSettings, generate
from q2a_core.inference.batch import check_window, prompt_batch
from q2a_core.model import Qwen2Audio

BATCH_SIZE = 16
MAX_NEW_TOKENS = 40


@torch.inference_mode()
def answer(
    checkpoint: Checkpoint,
    model: Qwen2Audio,
    items: list[Item],
    *,
    tick: Callable[[int], None] = lambda items: None,
) -> list[str]:
    """Greedy replies, in the order of the items, batched by length.

    Raises TooLongError, before anything is asked, for a clip beyond the model's window.
    """
    order = sorted(range(len(items)), key=lambda index: len(items[index].samples))
    replies = [""] * len(items)
    check_window(model, [item.samples for item in items])
    for start in range(0, len(items), BATCH_SIZE):
        chosen = order[start : start + BATCH_SIZE]
        for index, reply in zip(
            chosen, _answer_batch(checkpoint, model, [items[i] for i in chosen]), strict=True
        ):
            replies[index] = reply
        tick(len(chosen))
    return replies


def _answer_batch(checkpoint: Checkpoint, model: Qwen2Audio, items: list[Item]) -> list[str]:
    chat_format, config = checkpoint.chat_format, checkpoint.generation_config
    batch = prompt_batch(
        model,
        chat_format,
        [item.task.prompt for item in items],
        [item.samples for item in items],
    )
    settings = GenerationSettings.from_generation_config(
        config, max_new_tokens=MAX_NEW_TOKENS, temperature=0.0
    )
    reply = generate(model, settings=settings, **batch)
    return [chat_format.tokenizer.decode(ids) for ids in reply.token_ids]


def decoding_in_words(checkpoint: Checkpoint, max_new_tokens: int = MAX_NEW_TOKENS) -> str:
    """How a checkpoint decodes greedily: all of its settings that a reply depends on, where they are not as usual.

    Usual are no repetition penalty, no least length, and the stop tokens that its tokenizer has. Raises ChatError for
    settings that no reply can be decoded with.
    """
    settings = GenerationSettings.from_generation_config(
        checkpoint.generation_config, max_new_tokens=max_new_tokens, temperature=0.0
    )
    words = [f"greedy, at most {max_new_tokens} tokens"]
    if settings.min_new_tokens:
        words.append(f"at least {settings.min_new_tokens}")
    if set(settings.stop_ids) != set(checkpoint.chat_format.stop_ids):
        stops = " or ".join(map(str, sorted(set(settings.stop_ids))))
        words.append(f"ending at token {stops}" if stops else "ending at no token")
    if settings.repetition_penalty != 1:
        words.append(f"repetition penalty {settings.repetition_penalty:g}")
    return ", ".join(words)
