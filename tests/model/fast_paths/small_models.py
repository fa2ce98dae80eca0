"""Untrained models of any small shape, and what they are asked: ids, a clip, a prompt about one."""

import dataclasses

import torch

from q2a_core import Qwen2Audio, presets

SHAPE = {"d_model": 64, "num_heads": 4, "num_kv_heads": 2}


def model_with(seed: int = 0, **decoder) -> Qwen2Audio:
    config = presets.tiny()
    config = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, **decoder))
    model = Qwen2Audio(config).eval()
    model.init_weights(torch.Generator().manual_seed(seed))
    rng = torch.Generator().manual_seed(seed + 1)
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=rng)
    return model


def tokens(batch: int, length: int, seed: int = 3) -> torch.Tensor:
    return torch.randint(4, 320, (batch, length), generator=torch.Generator().manual_seed(seed))


def clip(model, frames, seed=0):
    """mel (1, M, F) with two frames of what lies behind the clip, and its length."""
    rng = torch.Generator().manual_seed(seed)
    mel = torch.randn(1, model.config.encoder.num_mel_bins, frames + 2, generator=rng)
    return mel, torch.tensor([frames])


def prompt_for(model, embeds, seed=5):
    """Ids with a placeholder for each row of `embeds`."""
    ids = tokens(1, len(embeds) + 6, seed=seed)
    ids[ids == model.config.audio_token_id] = 5
    ids[0, 3 : 3 + len(embeds)] = model.config.audio_token_id
    return ids
