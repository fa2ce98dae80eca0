"""Prefill and decode: the prompt in one pass, then one token at a time over the KV cache."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from q2a_core.inference.decode_step import decode_step_of
from q2a_core.inference.sampling import GenerationSettings, next_tokens, penalise_repetition
from q2a_core.model import KeptGraphs, KVCache, Qwen2Audio, check_clips, graphs_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Generated:
    """Replies of a batch."""

    token_ids: list[list[int]]  # one list per row, without the stop token
    logps: list[list[float]]  # log-probability of each of those tokens under the model


def generate(
    model: Qwen2Audio, input_ids: Tensor, *, settings: GenerationSettings, **options
) -> Generated:
    """Decode whole replies; options as in `generate_steps`."""
    token_ids: list[list[int]] = [[] for _ in range(input_ids.shape[0])]
    logps: list[list[float]] = [[] for _ in range(input_ids.shape[0])]
    finished = [False] * input_ids.shape[0]
    for tokens, step_logps in generate_steps(model, input_ids, settings=settings, **options):
        for row, (token, logp) in enumerate(zip(tokens, step_logps, strict=True)):
            finished[row] = finished[row] or token in settings.stop_ids
            if not finished[row]:
                token_ids[row].append(token)
                logps[row].append(logp)
    return Generated(token_ids=token_ids, logps=logps)


@torch.inference_mode()
def generate_steps(
    model: Qwen2Audio,
    input_ids: Tensor,
    *,
    settings: GenerationSettings,
    mel: Tensor | None = None,
    mel_lengths: Tensor | None = None,
    audio_embeds: Tensor | None = None,
    attention_mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    prefill: Callable[[KVCache], Tensor] | None = None,
) -> Iterator[tuple[list[int], list[float]]]:
    """Yield, step by step, one token and its log-probability per row, until all rows have stopped.

    input_ids (B, T), on any device, with placeholders expanded; rows of unequal length are left-padded and
    attention_mask says so. A row that has stopped repeats its stop token. Log-probabilities are the model's own, before
    penalty and temperature. `generator` makes sampling repeatable; greedy decoding needs none. `prefill` takes the
    place of the model's own pass over the prompt: it fills the cache and returns the logits (B, V) of the first new
    token. Raises ValueError for a prompt without tokens and a mask that does not fit or pads on the right, ChatError if
    placeholders and audio tokens differ in number.
    """
    _check_prompts(input_ids, attention_mask)
    check_clips(mel, mel_lengths, audio_embeds)
    device = model.decoder.embed_tokens.weight.device
    placeholders = int((input_ids == model.config.audio_token_id).sum())  # before the device works
    input_ids = input_ids.to(device, torch.long, non_blocking=True)
    if attention_mask is not None:
        attention_mask = None if attention_mask.bool().all() else attention_mask.bool().to(device)
    batch, length = input_ids.shape
    room = length + settings.max_new_tokens
    rows = _Rows(input_ids, attention_mask, settings, model.config.decoder.vocab_size)
    alone = prefill is None and attention_mask is None and batch == 1
    graphs = graphs_of(model) if alone else None
    borrowed = contextlib.nullcontext() if graphs is None else graphs.step(room)
    with borrowed as kept:
        cache = model.new_cache(batch, room) if kept is None else kept.begin()
        if prefill is not None:
            logits = prefill(cache).float()
        else:
            prompt = (input_ids, attention_mask, placeholders)
            clips = (mel, mel_lengths, audio_embeds)
            logits = _first_logits(model, graphs, cache, *prompt, *clips).float()
        if kept is not None:
            kept.start()
        decode: Callable[[Tensor], Tensor] | None = kept
        for step in range(settings.max_new_tokens):
            if step > 0:
                # what is not there yet is made after the first token is out
                if decode is None:
                    decode = decode_step_of(model, cache, attention_mask)
                logits = decode(rows.tokens)
            chosen = rows.choose(logits, step, generator)
            logps = logits.log_softmax(-1).gather(-1, chosen[:, None])[:, 0]
            token_ids = chosen.tolist()
            yield token_ids, logps.tolist()
            rows.go_on(chosen, token_ids)
            if all(rows.finished):
                return


def _check_prompts(input_ids: Tensor, attention_mask: Tensor | None) -> None:
    if input_ids.ndim != 2 or input_ids.shape[1] == 0:
        raise ValueError(
            f"input_ids has shape {tuple(input_ids.shape)}; expected (B, T), at least one token each"
        )
    if input_ids.is_floating_point() or input_ids.dtype == torch.bool:
        raise ValueError(f"input_ids is of {input_ids.dtype}; expected whole numbers")
    if attention_mask is None:
        return
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}; expected that of input_ids, "
            f"{tuple(input_ids.shape)}"
        )
    valid = attention_mask.bool()
    if bool((valid.any(-1) & ~valid[:, -1]).any()):
        raise ValueError(
            "attention_mask ends in padding; a reply goes on from the last token: pad prompts on the left"
        )


def _first_logits(
    model: Qwen2Audio,
    graphs: KeptGraphs | None,
    cache: KVCache,
    input_ids: Tensor,
    attention_mask: Tensor | None,
    placeholders: int,
    mel: Tensor | None,
    mel_lengths: Tensor | None,
    audio_embeds: Tensor | None,
) -> Tensor:
    """Logits (B, V) after the prompt, which fills the cache; through captured graphs where they take it."""
    if graphs is None or not graphs.prompt.takes(input_ids, mel_lengths):
        clips = {"mel": mel, "mel_lengths": mel_lengths, "audio_embeds": audio_embeds}
        output = model(
            input_ids, **clips, attention_mask=attention_mask, cache=cache, last_only=True
        )
        return output.logits[:, -1]
    if mel is not None and mel_lengths is not None:
        audio_embeds = graphs.prompt.encode_audio(mel, mel_lengths)
    return graphs.prompt.prefill(input_ids, audio_embeds, cache, placeholders)


class _Rows:
    """What the next tokens depend on besides the logits: those seen so far, and which rows have stopped."""

    def __init__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        settings: GenerationSettings,
        vocab_size: int,
    ):
        self.settings = settings
        self.stop_ids = [token for token in settings.stop_ids if 0 <= token < vocab_size]
        stop = torch.tensor(self.stop_ids, dtype=torch.long)
        self.stop = stop.to(input_ids.device, non_blocking=True)
        self.finished = [False] * len(input_ids)
        penalised = settings.repetition_penalty != 1.0
        self.seen = _seen(input_ids, attention_mask, vocab_size) if penalised else None
        self.tokens = input_ids[:, -1]

    def choose(self, logits: Tensor, step: int, generator: torch.Generator | None) -> Tensor:
        """One token per row (B,); a row that has stopped repeats its last."""
        scores = logits
        if self.seen is not None:
            scores = penalise_repetition(logits, self.seen, self.settings.repetition_penalty)
        if step < self.settings.min_new_tokens and self.stop_ids:
            scores = scores.index_fill(-1, self.stop, float("-inf"))
        chosen = next_tokens(scores, self.settings, generator)
        if any(self.finished):
            finished = torch.tensor(self.finished, device=self.tokens.device)
            chosen = torch.where(finished, self.tokens, chosen)
        return chosen

    def go_on(self, chosen: Tensor, token_ids: list[int]) -> None:
        """Add the tokens `chosen` (B,), on the host `token_ids`."""
        stopping = zip(self.finished, token_ids, strict=True)
        self.finished = [done or token in self.stop_ids for done, token in stopping]
        if self.seen is not None:
            self.seen.scatter_(-1, chosen[:, None], True)
        self.tokens = chosen


def _seen(input_ids: Tensor, attention_mask: Tensor | None, vocab_size: int) -> Tensor:
    """Which tokens (B, V) occur in each prompt; padding does not count, so that a batch answers as its rows alone
    do."""
    counts = torch.zeros(input_ids.shape[0], vocab_size, dtype=torch.long, device=input_ids.device)
    valid = torch.ones_like(input_ids) if attention_mask is None else attention_mask.long()
    return counts.scatter_add_(-1, input_ids, valid) > 0
