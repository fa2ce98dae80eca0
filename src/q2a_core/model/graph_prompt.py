"""The prompt at fixed shapes: on a GPU the blocks of encoder and decoder are recorded and replayed, as a step is.

A short prompt through a large model is over a thousand kernels of some microseconds, and starting them one by one takes
longer than they do. So the frames of a clip and the tokens of a prompt are filled up to a multiple of 64, and what runs
at such a length is recorded when it comes for the second time. What fills up changes nothing: padded frames are skipped
by the ragged kernel, and under the causal mask no token looks at those behind it.
"""

import threading
import weakref
from collections.abc import Callable

import torch
from torch import Tensor

from q2a_core.model.kv_cache import KVCache
from q2a_core.model.merge import merge_audio
from q2a_core.model.plain import is_plain
from q2a_core.model.qwen2_audio import Qwen2Audio
from q2a_core.model.recording import can_record, recorded

MULTIPLE = 64
MOST_TOKENS = 256
"""Longest prompt that is recorded: half a megabyte of keys and values a token in the 7B; longer ones keep it busy."""


class GraphPrompt:
    """One model's recorded prompts. Several threads may use it; off a GPU the same runs unrecorded."""

    def __init__(self, model: Qwen2Audio):
        self.model = weakref.proxy(model)  # the model is the key under which this is kept
        self.state = _state(model)
        self.lock = threading.Lock()
        self.stacks: dict[tuple[str, int], _Recorded] = {}
        self.weight = model.decoder.embed_tokens.weight
        self.memory = model.new_cache(1, MOST_TOKENS).memory

    def encode_audio(self, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        """Embeddings (A, D) of one clip, mel (1, M, F) with its valid frames mel_lengths (1,).

        Raises ValueError as the model does.
        """
        encoder = self.model.audio_encoder
        encoder.check(mel, mel_lengths.tolist())
        x = encoder.embed_mel(mel, int(mel_lengths))
        frames = x.shape[1]
        with self.lock:
            stack = self._stack(
                "encoder", min(_filled(frames), encoder.config.max_source_positions)
            )
            stack.x.zero_()
            stack.x[:, :frames] = x
            assert stack.length is not None
            stack.length.fill_(frames)
            encoder_frames = stack()[:, :frames].clone()
        return self.model.embed_frames(encoder_frames, mel_lengths)

    def prefill(self, input_ids: Tensor, audio_embeds: Tensor | None, cache: KVCache) -> Tensor:
        """Logits (1, V) after the prompt (1, T), which fills the empty `cache`."""
        decoder = self.model.decoder
        embeds = decoder.embed_tokens(input_ids)
        if audio_embeds is not None:
            placeholder = self.model.config.audio_token_id
            embeds = merge_audio(embeds, audio_embeds, input_ids, placeholder)
        count = embeds.shape[1]
        with self.lock:
            stack = self._stack("decoder", _filled(count))
            stack.x[:, :count] = embeds
            stack.x[
                :, count:
            ].zero_()  # a weight of zero times what an earlier prompt left could be NaN
            last = stack()[:, count - 1].clone()
            cache.memory[:, :, :, :, :count] = self.memory[:, :, :, :, :count]
        cache.advance(count)
        return decoder.lm_head(last)

    def _stack(self, part: str, length: int) -> "_Recorded":
        if (part, length) not in self.stacks:
            make = self._encoder_stack if part == "encoder" else self._decoder_stack
            self.stacks[part, length] = make(length)
        return self.stacks[part, length]

    def _encoder_stack(self, length: int) -> "_Recorded":
        encoder = self.model.audio_encoder
        x = self.weight.new_zeros(1, length, encoder.config.d_model)
        frames = torch.zeros(1, dtype=torch.int32, device=x.device)
        return _Recorded(lambda: encoder.blocks(x, frames), x, frames)

    def _decoder_stack(self, length: int) -> "_Recorded":
        decoder = self.model.decoder
        x = self.weight.new_zeros(1, length, decoder.config.d_model)
        memory, positions = self.memory, torch.arange(length, device=x.device)[None]
        # a record reads the tables where they lie: they must outlive the shared cache of tables
        kept = decoder.rotary_tables(length, x.dtype)
        return _Recorded(lambda: decoder(x, positions, cache=KVCache.over(memory)), x, kept=kept)


class _Recorded:
    """What computes on tensors that stay where they are: as it comes at first, then recorded, then replayed."""

    def __init__(
        self,
        run: Callable[[], Tensor],
        x: Tensor,
        length: Tensor | None = None,
        kept: object = None,
    ):
        self.run, self.x, self.length, self.kept = run, x, length, kept
        self.used = False
        self.graph: torch.cuda.CUDAGraph | None = None
        self.output: Tensor | None = None

    def __call__(self) -> Tensor:
        """The output; the next call writes over it."""
        if not self.used or self.x.device.type != "cuda":
            self.used = True
            return self.run()
        if self.graph is None:
            with recorded(self.x.device) as graph:
                self.output = self.run()
            self.graph = graph
        self.graph.replay()
        assert self.output is not None
        return self.output


_KEPT: "weakref.WeakKeyDictionary[Qwen2Audio, GraphPrompt]" = weakref.WeakKeyDictionary()
_KEEPING = threading.Lock()


def recorded_prompt(
    model: Qwen2Audio, input_ids: Tensor, mel_lengths: Tensor | None
) -> GraphPrompt | None:
    """The model's recorded prompts if they take this one: a row of moderate length with at most one clip to encode."""
    one = len(input_ids) == 1 and (mel_lengths is None or len(mel_lengths) == 1)
    if not one or input_ids.shape[1] > MOST_TOKENS:
        return None
    return recorded_model(model)


def recorded_model(model: Qwen2Audio) -> GraphPrompt | None:
    """The model's recorded prompts; None where it may not be recorded."""
    if not can_record(model):  # asked first: it is over at once where there is no GPU
        return None
    if not (is_plain(model.decoder) and is_plain(model.audio_encoder)):
        return None
    with _KEEPING:
        kept = _KEPT.get(model)
        if kept is None or kept.state != _state(model):
            kept = _KEPT[model] = GraphPrompt(model)
    return kept


def forget_recorded(model: Qwen2Audio) -> None:
    """Give back the memory of the model's recorded prompts."""
    with _KEEPING:
        _KEPT.pop(model, None)


def _filled(count: int) -> int:
    return -(-count // MULTIPLE) * MULTIPLE


def _state(model: Qwen2Audio) -> tuple[object, ...]:
    """Where the weights lie, as what, and which attention is chosen: what a record holds on to."""
    places = ((parameter.data_ptr(), parameter.dtype) for parameter in model.parameters())
    return (model.audio_encoder.backend, model.decoder.backend, *places)
