"""The installed transformers as oracle: the same weights in both models, and its `generate` called as it must be."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import GenerationConfig, Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

from q2a_core import lengths
from q2a_core.checkpoint.weights import HUB_PREFIXES, MEMORY_PREFIXES, to_hub_key
from q2a_core.config import ModelConfig
from q2a_core.config_json import config_to_hf
from q2a_core.model import Qwen2Audio
from q2a_core.model.audio_encoder import sinusoids

TIE = 1e-4
"""Two best logits closer than this may change places through rounding alone."""


def in_memory_key(key: str) -> str:
    """Our parameter's name inside transformers 5, by way of the hub's."""
    hub = to_hub_key(key)
    for (theirs, ours), (inside, same) in zip(HUB_PREFIXES, MEMORY_PREFIXES, strict=True):
        assert ours == same
        if hub.startswith(theirs):
            return inside + hub[len(theirs) :]
    raise KeyError(key)


def random_model(config: ModelConfig, seed: int) -> Qwen2Audio:
    """Every parameter random, norms and biases too, with logits of order one; positions are the sinusoids."""
    rng = torch.Generator().manual_seed(seed)
    model = Qwen2Audio(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("embed_positions.weight"):
                parameter.copy_(sinusoids(*parameter.shape))
            elif parameter.ndim == 1:
                centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
                parameter.normal_(centre, 0.1, generator=rng)
            elif "embed_tokens" in name:
                parameter.normal_(0.0, 0.5, generator=rng)
            else:
                parameter.normal_(0.0, parameter[0].numel() ** -0.5, generator=rng)
    return model


def twin(model: Qwen2Audio, **config: object) -> Qwen2AudioForConditionalGeneration:
    """Transformers' model with our weights; `config` replaces top-level entries of config.json."""
    values = config_to_hf(model.config) | config
    theirs = Qwen2AudioForConditionalGeneration(Qwen2AudioConfig.from_dict(values)).eval()
    state = {in_memory_key(name): value for name, value in model.state_dict().items()}
    theirs.load_state_dict(state, strict=True)
    return theirs


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """A ragged batch as both models take it."""

    input_ids: Tensor  # (B, T), placeholders expanded
    attention_mask: Tensor  # (B, T)
    labels: Tensor  # (B, T)
    mel: Tensor  # (N, M, F), the whole window, as transformers wants it
    mel_lengths: Tensor  # (N,)

    @property
    def feature_attention_mask(self) -> Tensor:
        """(N, F), as WhisperFeatureExtractor gives it."""
        return (torch.arange(self.mel.shape[2]) < self.mel_lengths[:, None]).long()

    @property
    def ours(self) -> dict[str, Tensor]:
        """Arguments of our `forward` besides labels."""
        needed = int(lengths.conv_mel_frames(self.mel_lengths).max())
        return {
            "input_ids": self.input_ids,
            "mel": self.mel[:, :, :needed],
            "mel_lengths": self.mel_lengths,
            "attention_mask": self.attention_mask,
        }

    @property
    def theirs(self) -> dict[str, Tensor]:
        """Arguments of transformers' `forward` besides labels."""
        return {
            "input_ids": self.input_ids,
            "input_features": self.mel,
            "feature_attention_mask": self.feature_attention_mask,
            "attention_mask": self.attention_mask,
        }


def stack_rows(
    rows: list[list[int]], labels: list[list[int]], *, side: str, mel: Tensor, mel_lengths: Tensor
) -> Batch:
    """Pad rows of unequal length with zeros on one side; labels of padding are ignored."""
    longest = max(map(len, rows))

    def pad(values: list[int], fill: int) -> list[int]:
        padding = [fill] * (longest - len(values))
        return padding + values if side == "left" else values + padding

    return Batch(
        input_ids=torch.tensor([pad(row, 0) for row in rows]),
        attention_mask=torch.tensor([pad([1] * len(row), 0) for row in rows]),
        labels=torch.tensor([pad(row, -100) for row in labels]),
        mel=mel,
        mel_lengths=mel_lengths,
    )


def greedy(
    theirs: Qwen2AudioForConditionalGeneration, batch: Batch, *, new_tokens: int, **settings: object
) -> list[list[int]]:
    """Transformers' greedy reply to each row, exactly `new_tokens` long unless settings name stop ids."""
    settings = {"eos_token_id": None, "pad_token_id": 0} | settings
    generated = theirs.generate(
        **batch.theirs,
        generation_config=GenerationConfig(do_sample=False, max_new_tokens=new_tokens, **settings),
    )
    return generated[:, batch.input_ids.shape[1] :].tolist()
