"""Ask a checkpoint every item once: greedy replies, batched by length."""

from collections.abc import Callable

import torch

from q2a_core.checkpoint import Checkpoint
from q2a_core.evaluation.items import Item
from q2a_core.inference import GenerationSettings, generate
from q2a_core.inference.batch import prompt_batch
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
    """Greedy replies, in the order of the items, batched by length."""
    order = sorted(range(len(items)), key=lambda index: len(items[index].samples))
    replies = [""] * len(items)
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
        chat_format,
        [item.task.prompt for item in items],
        [item.samples for item in items],
        device=model.decoder.embed_tokens.weight.device,
    )
    settings = GenerationSettings.from_generation_config(
        config, max_new_tokens=MAX_NEW_TOKENS, temperature=0.0
    )
    reply = generate(model, settings=settings, **batch)
    return [chat_format.tokenizer.decode(ids) for ids in reply.token_ids]
