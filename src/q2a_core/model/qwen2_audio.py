"""Qwen2-Audio: encoder, projector, merge, decoder. `forward` is the pipeline; everything else here serves it."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from q2a_core import lengths
from q2a_core.config import ModelConfig
from q2a_core.model.audio_encoder import AudioEncoder
from q2a_core.model.decoder import Decoder
from q2a_core.model.init import draw_weights
from q2a_core.model.kv_cache import KVCache
from q2a_core.model.merge import check_counts, merge_audio, pack_valid
from q2a_core.model.padding import read_padding
from q2a_core.model.projector import Projector

IGNORE_INDEX = -100
"""Label of a position that takes no part in the loss."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelOutput:
    """What one forward pass gives."""

    logits: Tensor  # (B, T, V), or (B, 1, V) with last_only
    loss: Tensor | None  # mean next-token cross-entropy over the labelled positions


class Qwen2Audio(nn.Module):
    """An audio language model: clips and token ids in, next-token logits out. Sees tensors only."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.audio_encoder = AudioEncoder(config.encoder)
        self.projector = Projector(config.encoder.d_model, config.decoder.d_model)
        self.decoder = Decoder(config.decoder)

    @classmethod
    def from_pretrained(cls, source: str | Path, **options) -> "Qwen2Audio":
        """Open a shipped name, a directory or a hub id; options as in `checkpoint.load_model`, which does the work."""
        from q2a_core.checkpoint import load_model

        return load_model(source, **options)

    def forward(
        self,
        input_ids: Tensor,
        *,
        mel: Tensor | None = None,
        mel_lengths: Tensor | None = None,
        audio_embeds: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        cache: KVCache | None = None,
        last_only: bool = False,
    ) -> ModelOutput:
        """Logits, and the loss if labels are given.

        input_ids (B, T) holds one placeholder per audio token; mel (N, M, F) with mel_lengths (N,) lists the clips in
        reading order, or audio_embeds (sum of A, D) gives them already encoded. attention_mask (B, cached + T) may pad
        on one side. labels (B, T) are shifted here; IGNORE_INDEX and padded positions do not count. Raises ValueError
        for clips given twice or in part, ChatError if placeholders and audio tokens differ in number.
        """
        check_clips(mel, mel_lengths, audio_embeds)
        if mel is not None:
            audio_embeds = self.encode_audio(mel, mel_lengths)
        if audio_embeds is None and (cache is None or not cache.length):
            check_counts(int((input_ids == self.config.audio_token_id).sum()), 0)
        hidden_states = self.hidden_states(
            input_ids, audio_embeds=audio_embeds, attention_mask=attention_mask, cache=cache
        )
        logits = self.decoder.lm_head(hidden_states[:, -1:] if last_only else hidden_states)
        loss = None if labels is None else causal_lm_loss(logits, labels, attention_mask)
        return ModelOutput(logits=logits, loss=loss)

    def encode_audio(self, mel: Tensor, mel_lengths: Tensor | None) -> Tensor:
        """Clips to packed embeddings (sum of A, D), one row per 40 ms token, clip after clip.

        Raises ValueError if the lengths are missing or are not those of `mel`.
        """
        check_clips(mel, mel_lengths)
        assert mel_lengths is not None
        encoder_frames = self.audio_encoder.encode_frames(mel, mel_lengths)
        return self.embed_frames(encoder_frames, mel_lengths)

    def embed_frames(self, encoder_frames: Tensor, mel_lengths: Tensor) -> Tensor:
        """The second half of `encode_audio`: pool, norm, project, drop the padding."""
        audio_tokens = self.audio_encoder.pool(encoder_frames)
        audio_embeds = self.projector(audio_tokens)
        return pack_valid(audio_embeds, lengths.audio_tokens(mel_lengths))

    def hidden_states(
        self,
        input_ids: Tensor,
        *,
        audio_embeds: Tensor | None = None,
        attention_mask: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """The decoder's final hidden states (B, T, D), before `lm_head`. Raises ChatError as `merge_audio` does.

        Without audio_embeds placeholders stay what they are: a decoder may learn apart from the encoder.
        """
        inputs_embeds = self.decoder.embed_tokens(input_ids)
        cached = 0 if cache is None else cache.length
        if audio_embeds is not None:
            inputs_embeds = merge_audio(
                inputs_embeds, audio_embeds, input_ids, self.config.audio_token_id
            )
        padding = read_padding(
            attention_mask, new=input_ids.shape[1], cached=cached, device=input_ids.device
        )
        return self.decoder(
            inputs_embeds,
            padding.positions,
            lengths=padding.lengths,
            padding_side=padding.side,
            cache=cache,
        )

    def new_cache(self, batch_size: int, max_length: int) -> KVCache:
        """An empty cache on this model's device and dtype."""
        weight = self.decoder.embed_tokens.weight
        return KVCache(
            self.config.decoder,
            batch_size=batch_size,
            max_length=max_length,
            device=weight.device,
            dtype=weight.dtype,
        )

    def set_backend(self, backend: str) -> None:
        """Choose the attention backend of encoder and decoder."""
        self.audio_encoder.backend = self.decoder.backend = backend

    def init_weights(self, generator: torch.Generator) -> None:
        """Fresh weights for training from scratch; `init.py` says how they are drawn."""
        draw_weights(self.audio_encoder, self.projector, self.decoder, generator)


def check_clips(
    mel: Tensor | None, mel_lengths: Tensor | None, audio_embeds: Tensor | None = None
) -> None:
    """Raises ValueError for clips that are given twice or in part."""
    if mel is not None and audio_embeds is not None:
        raise ValueError(
            "mel and audio_embeds were both given; pass the clips as mel frames or encoded, not both"
        )
    if mel is not None and mel_lengths is None:
        raise ValueError(
            "mel was given without mel_lengths; pass each clip's number of valid mel frames"
        )
    if mel is None and mel_lengths is not None:
        raise ValueError("mel_lengths was given without mel; pass the clips' mel frames as well")


def causal_lm_loss(logits: Tensor, labels: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of each labelled token given those before it: paper eq. 1, negated and averaged."""
    targets = labels[:, 1:]
    if attention_mask is not None:
        new = attention_mask[:, -labels.shape[1] :]  # cached positions have no labels
        targets = targets.masked_fill(new[:, 1:] == 0, IGNORE_INDEX)
    return F.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORE_INDEX
    )
