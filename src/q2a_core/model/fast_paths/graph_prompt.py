"""The prompt at fixed shapes: on a GPU the blocks of encoder and decoder are captured and replayed, as a step is.

A short prompt through a large model is over a thousand kernels of some microseconds, and starting them one by one takes
longer than they do. So the frames of a clip and the tokens of a prompt are filled up to a multiple of 64, and what runs
at such a length is captured when it comes for the second time. What fills up changes nothing: padded frames are skipped
by the ragged kernel, and under the causal mask no token looks at those behind it.
"""

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from q2a_core.model.fast_paths.cuda_graph import capture
from q2a_core.model.kv_cache import KVCache
from q2a_core.model.merge import merge_audio
from q2a_core.model.qwen2_audio import Qwen2Audio

MULTIPLE = 64
MOST_TOKENS = 512
"""Longest prompt that is captured, a clip of 15 s: half a megabyte of keys and values a token in the 7B, and longer
ones keep the device busy as they come."""


class GraphPrompt:
    """One model's captured prompts. Several threads may use it; off a GPU the same runs uncaptured."""

    def __init__(self, model: Qwen2Audio):
        self.model = weakref.proxy(model)  # the model is the key under which this is kept
        self.lock = threading.Lock()
        self.stacks: dict[tuple[str, int], _Captured] = {}
        self.memory = model.new_cache(1, MOST_TOKENS).memory
        self.done = torch.cuda.Event() if self.memory.is_cuda else None

    def takes(self, input_ids: Tensor, mel_lengths: Tensor | None) -> bool:
        """Whether a prompt may come here: a row of moderate length with at most one clip to encode."""
        one = len(input_ids) == 1 and (mel_lengths is None or len(mel_lengths) == 1)
        return one and input_ids.shape[1] <= MOST_TOKENS

    def encode_audio(self, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        """Embeddings (A, D) of one clip, mel (1, M, F) with its valid frames mel_lengths (1,).

        Raises ValueError as the model does.
        """
        encoder = self.model.audio_encoder
        encoder.check_mel(mel, mel_lengths.tolist())
        x = encoder.embed_mel(mel, int(mel_lengths))
        frames = x.shape[1]
        with self._alone():
            stack = self._stack(
                "encoder", min(_filled(frames), encoder.config.max_source_positions)
            )
            stack.x.zero_()
            stack.x[:, :frames] = x
            assert stack.length is not None
            stack.length.fill_(frames)
            encoder_frames = stack()[:, :frames].clone()
        return self.model.embed_frames(encoder_frames, mel_lengths)

    def prefill(
        self,
        input_ids: Tensor,
        audio_embeds: Tensor | None,
        cache: KVCache,
        placeholders: int | None = None,
    ) -> Tensor:
        """Logits (1, V) after the prompt (1, T), which fills the empty `cache`; raises ChatError as the model does.

        Whoever has counted the `placeholders` spares the device a wait.
        """
        decoder = self.model.decoder
        embeds = decoder.embed_tokens(input_ids)
        audio_token = self.model.config.audio_token_id
        embeds = merge_audio(embeds, audio_embeds, input_ids, audio_token, placeholders)
        count = embeds.shape[1]
        with self._alone():
            stack = self._stack("decoder", _filled(count))
            stack.x[:, :count] = embeds
            # a weight of zero times what an earlier prompt left could be NaN
            stack.x[:, count:].zero_()
            last = stack()[:, count - 1].clone()
            cache.memory[:, :, :, :, :count] = self.memory[:, :, :, :, :count]
        cache.advance(count)
        return decoder.lm_head(last)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One thread at a time, and on the device one stream after another: all share what is captured."""
        with self.lock:
            if self.done is not None:
                torch.cuda.current_stream(self.memory.device).wait_event(self.done)
            try:
                yield
            finally:
                if self.done is not None:
                    self.done.record(torch.cuda.current_stream(self.memory.device))

    def _stack(self, part: str, length: int) -> "_Captured":
        if (part, length) not in self.stacks:
            make = self._encoder_stack if part == "encoder" else self._decoder_stack
            self.stacks[part, length] = make(length)
        return self.stacks[part, length]

    def _encoder_stack(self, length: int) -> "_Captured":
        encoder = self.model.audio_encoder
        x = encoder.conv1.weight.new_zeros(1, length, encoder.config.d_model)
        frames = torch.zeros(1, dtype=torch.int32, device=x.device)
        return _Captured(lambda: encoder.blocks(x, frames), x, frames)

    def _decoder_stack(self, length: int) -> "_Captured":
        decoder = self.model.decoder
        x = decoder.embed_tokens.weight.new_zeros(1, length, decoder.config.d_model)
        memory, positions = self.memory, torch.arange(length, device=x.device)[None]
        # a graph reads the tables where they lie: they must outlive the shared cache of tables
        kept = decoder.rotary_tables(length, x.dtype)
        return _Captured(lambda: decoder(x, positions, cache=KVCache.over(memory)), x, kept=kept)


class _Captured:
    """What computes on tensors that stay where they are: as it comes at first, then captured, then replayed."""

    def __init__(
        self,
        run: Callable[[], Tensor],
        x: Tensor,
        length: Tensor | None = None,
        kept: object = None,
    ):
        self.run, self.x, self.length, self.kept = run, x, length, kept
        self.used = False
        self.capturable = x.device.type == "cuda"
        self.graph: torch.cuda.CUDAGraph | None = None
        self.output: Tensor | None = None

    def __call__(self) -> Tensor:
        """The output; the next call writes over it."""
        if self.used and self.capturable and self.graph is None:
            captured = capture(self.x.device, self.run)
            if captured is None:
                self.capturable = False
            else:
                self.graph, self.output = captured
        self.used = True
        if self.graph is None:
            return self.run()
        self.graph.replay()
        assert self.output is not None
        return self.output


def _filled(count: int) -> int:
    return -(-count // MULTIPLE) * MULTIPLE
