"""Both models of the real size on one set of random tensors, and one prompt for each."""

import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from q2a_core.audio.mel import log_mel
from q2a_core.bench.device import copy_bandwidth
from q2a_core.bench.large_weights import draw_weights, share_weights
from q2a_core.bench.pair import noise_clip
from q2a_core.bench.timing import TokenClock
from q2a_core.config import ModelConfig
from q2a_core.config_json import config_to_hf
from q2a_core.errors import Q2AError
from q2a_core.inference import GenerationSettings, generate_steps
from q2a_core.lengths import SAMPLE_RATE, mel_frames, tokens_of_samples
from q2a_core.model import Qwen2Audio, forget_graphs

CLIP_SECONDS = 3.0
TEXT_TOKENS = (20, 25)
"""Before and after the clip, about as many as the chat template and a short question are."""
TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 1e-1, torch.float16: 2e-2}
"""Of the last logits, relative to their norm: what the type's rounding leaves after 64 layers of random weights, which
damp nothing (0.05 in bfloat16 on an H100); what is computed wrongly is off by about 1."""


class Sides:
    """Our model and transformers', a clip and token ids; every method is one thing to measure."""

    def __init__(
        self, config: ModelConfig, device: torch.device, dtype: torch.dtype, new_tokens: int
    ):
        from transformers import (
            GenerationConfig,
            Qwen2AudioConfig,
            Qwen2AudioForConditionalGeneration,
            WhisperFeatureExtractor,
        )

        self.config, self.device, self.dtype, self.new_tokens = config, device, dtype, new_tokens
        before = torch.get_default_dtype()
        try:
            torch.set_default_dtype(dtype)
            with torch.device(device):
                theirs = Qwen2AudioForConditionalGeneration(
                    Qwen2AudioConfig(**config_to_hf(config))
                )
        finally:
            torch.set_default_dtype(before)
        with torch.device("meta"):
            self.model = Qwen2Audio(config).eval()
        share_weights(self.model, theirs)
        draw_weights(self.model)
        theirs.generation_config = GenerationConfig()
        self.other: Any = theirs.eval()
        self.extractor = WhisperFeatureExtractor(
            feature_size=config.encoder.num_mel_bins,
            chunk_length=int(config.encoder.max_seconds),
        )
        self.samples = noise_clip(min(CLIP_SECONDS, config.encoder.max_seconds))
        generator = torch.Generator().manual_seed(0)
        words = torch.randint(
            0, min(config.audio_token_id or 1, 1000), (sum(TEXT_TOKENS),), generator=generator
        )
        words[words == config.audio_token_id] = 0
        clip = torch.full((tokens_of_samples(len(self.samples)),), config.audio_token_id)
        ids = torch.cat([words[: TEXT_TOKENS[0]], clip, words[TEXT_TOKENS[0] :]])
        self.ids = ids[None].to(device)

    @property
    def device_name(self) -> str:
        """As a reader knows it."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return self.device.type

    def our_inputs(self) -> dict[str, Any]:
        """The clip as our front end makes it."""
        encoder = self.config.encoder
        mel = log_mel(
            self.samples, num_mels=encoder.num_mel_bins, max_frames=encoder.max_mel_frames
        )
        return {
            "mel": mel[None].to(self.device, self.dtype),
            "mel_lengths": torch.tensor([mel_frames(len(self.samples))]),
        }

    def their_inputs(self) -> dict[str, Tensor]:
        """Clip and ids as transformers takes them, padded to the window."""
        found = self.extractor(
            self.samples,
            sampling_rate=SAMPLE_RATE,
            padding="max_length",
            return_attention_mask=True,
            return_tensors="pt",
        )
        return {
            "input_ids": self.ids,
            "attention_mask": torch.ones_like(self.ids),
            "input_features": found["input_features"].to(self.device, self.dtype),
            "feature_attention_mask": found["attention_mask"].to(self.device),
        }

    @torch.inference_mode()
    def check(self) -> dict[str, float]:
        """How far the last logits of the prompt are apart; raises Q2AError if too far."""
        ours = self.model(self.ids, last_only=True, **self.our_inputs()).logits[0, -1].float()
        theirs = self.other(**self.their_inputs()).logits[0, -1].float()
        apart = float((ours - theirs).norm() / theirs.norm())
        if not apart <= TOLERANCES[self.dtype]:
            raise Q2AError(
                f"nothing was timed: the logits are {apart:.2g} apart (relative); expected at most "
                f"{TOLERANCES[self.dtype]:g} for {self.dtype}"
            )
        return {"logits": apart}

    def ours(self, new_tokens: int) -> Iterator[tuple[int, float]]:
        """Our greedy tokens, each with the seconds since the samples were handed over."""
        start = time.perf_counter()
        steps = generate_steps(
            self.model,
            self.ids,
            settings=GenerationSettings(max_new_tokens=new_tokens),
            **self.our_inputs(),
        )
        for (token,), _ in steps:
            yield token, time.perf_counter() - start

    def our_rate(self) -> float:
        """Our tokens a second after the first."""
        clock = TokenClock()
        for token, _ in self.ours(self.new_tokens):
            clock.put(token)
        return clock.rate

    def theirs(self, new_tokens: int, *, cache: str | None = None) -> TokenClock:
        """When each of transformers' greedy tokens came."""
        clock = TokenClock(skip=1)  # it hands over the prompt first
        options = {} if cache is None else {"cache_implementation": cache}
        self.other.generate(
            **self.their_inputs(),
            do_sample=False,
            max_new_tokens=new_tokens,
            pad_token_id=0,
            streamer=clock,
            **options,
        )
        return clock

    def their_first_token(self) -> float:
        """Seconds that transformers takes from the samples to one token."""
        start = time.perf_counter()
        return self.theirs(1).times[-1] - start

    def memory(self) -> dict[str, int] | None:
        """Peak bytes of replies beyond the weights, for each side; None off a GPU."""
        if self.device.type != "cuda":
            return None
        peaks = {}
        for name, reply in (
            ("ours", lambda: list(self.ours(self.new_tokens))),
            ("transformers", lambda: self.theirs(self.new_tokens)),
        ):
            forget_graphs(self.model)
            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_reserved(self.device)
            for _ in range(3):  # as it comes, captured, replayed
                reply()
            torch.cuda.synchronize(self.device)
            # reserved, not allocated: what a graph works in counts too
            peaks[name] = torch.cuda.max_memory_reserved(self.device) - before
        return peaks

    def bandwidth(self, tokens_per_second: float) -> dict[str, float]:
        """The share of the memory's speed that decoding reaches: each token reads every weight of the decoder once."""
        embedding = self.model.decoder.embed_tokens.weight
        read = sum(p.numel() * p.element_size() for p in self.model.decoder.parameters())
        if embedding is not self.model.decoder.lm_head.weight:
            read -= embedding.numel() * embedding.element_size()
        measured = copy_bandwidth(self.device)
        limit = measured / read
        return {
            "bytes_per_second": measured,
            "bytes_per_token": read,
            "limit_tokens_per_second": limit,
            "share": tokens_per_second / limit,
        }
