"""The forward pass in plain steps, block by block, so that one may look and change on the way.

    mel -> encoder_states -> encode_from -> audio_embeds -> decoder_states -> decode_from -> logits

Each step calls the model's own blocks and keeps what entered them, which grows with the length of the clip and not with
its square. Nothing is hooked into the model and nothing is stored on it: other threads may use the same one meanwhile.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from q2a_core.model import KVCache, Qwen2Audio
from q2a_core.model.audio_encoder import EncoderBlock
from q2a_core.model.decoder import DecoderBlock
from q2a_core.model.merge import merge_audio


def encoder_states(model: Qwen2Audio, mel: Tensor, mel_lengths: Tensor) -> list[Tensor]:
    """What enters each encoder block, and last what leaves the last one: (1, E, C) each, of one clip (1, M, F)."""
    encoder = model.audio_encoder
    if len(mel_lengths) != 1:
        raise ValueError(f"{len(mel_lengths)} clips were given; expected one")
    states = [encoder.embed_mel(mel, int(mel_lengths[0]))]
    for block in encoder.layers:
        states.append(block(states[-1], None, encoder.backend))
    return states


def encode_from(model: Qwen2Audio, x: Tensor, *, layer: int) -> Tensor:
    """From what enters encoder block `layer` (B, E, C) to audio_embeds (B, A, D), clips of one length."""
    encoder = model.audio_encoder
    for block in encoder.layers[layer:]:
        x = block(x, None, encoder.backend)
    return model.projector(encoder.pool(x))


def decoder_states(model: Qwen2Audio, input_ids: Tensor, audio_embeds: Tensor) -> list[Tensor]:
    """What enters each decoder block, and last what leaves the last one: (1, T, D) each, of ids (1, T).

    audio_embeds (A, D) are written over the placeholders, so the first entry is what the decoder is given.
    """
    embeds = model.decoder.embed_tokens(input_ids)
    states = [merge_audio(embeds, audio_embeds, input_ids, model.config.audio_token_id)]
    for x in _blocks(model, states[0], layer=0):
        states.append(x)
    return states


def decode_from(model: Qwen2Audio, x: Tensor, *, layer: int, last: int) -> Tensor:
    """From what enters decoder block `layer` (B, T, D) to the logits of the last positions (B, last, V)."""
    for after in _blocks(model, x, layer=layer):
        x = after
    return model.decoder.lm_head(model.decoder.norm(x[:, -last:]))


def prefill_from(
    model: Qwen2Audio, embeds: Tensor, x: Tensor, cache: KVCache, *, layer: int
) -> Tensor:
    """Fill an empty cache with a prompt whose states are replaced by `x` (1, T, D) where they enter block `layer`.

    embeds (1, T, D) is what enters block 0; the blocks below `layer` see the prompt as it is. Returns the next token's
    logits (1, V).
    """
    decoder = model.decoder
    rotary = decoder.rotary(_positions(embeds), embeds.dtype)
    state = embeds
    for index, block in enumerate(decoder.layers):
        state = x if index == layer else state
        state = block(
            state,
            rotary,
            lengths=None,
            padding_side="right",
            cache=cache,
            layer=index,
            backend=decoder.backend,
        )
    cache.advance(embeds.shape[1])
    return decoder.lm_head(decoder.norm(state[:, -1]))


def _blocks(model: Qwen2Audio, x: Tensor, *, layer: int) -> Iterator[Tensor]:
    """What leaves block `layer` and each one after it."""
    decoder = model.decoder
    rotary = decoder.rotary(_positions(x), x.dtype)
    for index in range(layer, len(decoder.layers)):
        x = decoder.layers[index](
            x,
            rotary,
            lengths=None,
            padding_side="right",
            cache=None,
            layer=index,
            backend=decoder.backend,
        )
        yield x


def encoder_queries_keys(
    model: Qwen2Audio, states: list[Tensor], layer: int
) -> tuple[Tensor, Tensor]:
    """Queries and keys (1, H, E, Dh) of encoder block `layer`, computed again from what entered it."""
    block = model.audio_encoder.layers[layer]
    assert isinstance(block, EncoderBlock)
    q, k, _ = block.self_attn.qkv(block.self_attn_layer_norm(states[layer]))
    return q, k


def decoder_queries_keys(
    model: Qwen2Audio, states: list[Tensor], layer: int
) -> tuple[Tensor, Tensor]:
    """Queries (1, H, T, Dh) and keys (1, Hkv, T, Dh) of decoder block `layer`, turned by position."""
    block = model.decoder.layers[layer]
    assert isinstance(block, DecoderBlock)
    x = states[layer]
    rotary = model.decoder.rotary(_positions(x), x.dtype)
    q, k, _ = block.self_attn.qkv(block.input_layernorm(x), rotary)
    return q, k


def _positions(x: Tensor) -> Tensor:
    return torch.arange(x.shape[1], device=x.device)[None]
