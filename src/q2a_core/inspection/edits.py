"""Causal edits: overwrite what the model holds of a stretch of the clip, and see what becomes of the reply.

    site     where: what enters an encoder block, or the audio places of what enters a decoder block (its first is the
             audio tokens themselves)
    range    which audio tokens, [first, stop)
    fill     with what: the clip's own mean, zero, noise, or what another clip has there
    keep     the other way round: everything but the range is overwritten, which asks whether the range is enough where
             overwriting it asks whether it is needed. With another clip's states this is activation patching

The model is run on from the edited states by `walk.py`; nothing is hooked in, so that edits of one session never reach
another. Randomness is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from q2a_core.config import ModelConfig
from q2a_core.errors import ChatError
from q2a_core.inference import generate_steps
from q2a_core.inspection.case import Case, token_logps
from q2a_core.inspection.walk import decode_from, encode_from, prefill_from

FILLS = ("mean", "zero", "noise", "other")
"""The clip's mean over time, zeros, Gaussian noise of the clip's mean and spread, another clip's states."""
POSITIONS = 6000
"""Sequence positions that are run at once; more rows only take memory."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Site:
    """A place in the model's depth: what enters block `layer` of `part`."""

    part: str
    """encoder or decoder."""
    layer: int
    """From 0; entering the decoder's block 0 are the audio tokens."""

    @property
    def label(self) -> str:
        if self == AUDIO_TOKENS:
            return "audio tokens"
        return f"{self.part} {self.layer + 1}"


AUDIO_TOKENS = Site(part="decoder", layer=0)
"""What the decoder is given of the clip."""


def sites(config: ModelConfig) -> list[Site]:
    """All sites, in the order in which the sound passes them."""
    encoder = [Site(part="encoder", layer=layer) for layer in range(config.encoder.num_layers)]
    decoder = [Site(part="decoder", layer=layer) for layer in range(config.decoder.num_layers)]
    return encoder + decoder


def held(case: Case, site: Site) -> Tensor:
    """What the model holds of the clip at a site: encoder frames (E, C), or the audio places (A, D)."""
    if site.part == "encoder":
        return case.encoder_states[site.layer][0]
    first = case.first_audio
    return case.decoder_states[site.layer][0, first : first + case.num_tokens]


def row_length(case: Case, site: Site) -> int:
    """Sequence positions that one edit runs through."""
    frames = case.encoder_states[0].shape[1] if site.part == "encoder" else 0
    return case.decoder_states[0].shape[1] + frames


@torch.inference_mode()
def fill_values(
    case: Case,
    site: Site,
    fill: str,
    *,
    rng: np.random.Generator | None = None,
    other: Case | None = None,
) -> Tensor:
    """What to write at a site, for the whole clip: (E, C) or (A, D).

    noise needs `rng`, other needs `other`, a case of the same model; a shorter clip is repeated. Raises ChatError.
    """
    own = held(case, site)
    if fill == "zero":
        return torch.zeros_like(own)
    if fill == "mean":
        return own.mean(dim=0, keepdim=True).expand_as(own)
    if fill == "noise":
        if rng is None:
            raise ChatError(
                "fill is 'noise' and no rng was given; pass rng=np.random.default_rng(0)"
            )
        drawn = torch.from_numpy(rng.standard_normal(own.shape)).to(own.device, own.dtype)
        return own.mean(dim=0) + own.std(dim=0, correction=0) * drawn
    if fill == "other":
        if other is None or other.model is not case.model:
            raise ChatError("fill is 'other' and needs another clip's case of the same model")
        theirs = held(other, site)
        return theirs[torch.arange(len(own), device=own.device) % len(theirs)]
    raise ChatError(f"fill is {fill!r}; expected one of {', '.join(FILLS)}")


@torch.inference_mode()
def edited_logps(
    case: Case,
    site: Site,
    ranges: Sequence[tuple[int, int]],
    values: Tensor,
    *,
    keep: bool = False,
) -> np.ndarray:
    """Log-probability of each reply token (ranges, R) when one range of audio tokens at a time holds `values`."""
    for first, stop in ranges:
        _check_range(case, first, stop)
    rows = max(POSITIONS // row_length(case, site), 1)
    parts = []
    for start in range(0, len(ranges), rows):
        states = torch.stack(
            [_edited(case, site, span, values, keep) for span in ranges[start : start + rows]]
        )
        x, layer = _decoder_input(case, site, states, len_prompt=None)
        logits = decode_from(case.model, x, layer=layer, last=len(case.reply_ids))
        parts.append(token_logps(logits, case.reply_ids))
    return torch.cat(parts).cpu().numpy()


@torch.inference_mode()
def edited_reply(
    case: Case, site: Site, span: tuple[int, int], values: Tensor, *, keep: bool = False
) -> list[int]:
    """The greedy reply, without its stop token, when one range of the clip holds `values` at a site."""
    _check_range(case, *span)
    prompt = case.prompt_ids.shape[1]
    x, layer = _decoder_input(case, site, _edited(case, site, span, values, keep)[None], prompt)
    embeds = case.decoder_states[0][:, :prompt]
    steps = generate_steps(
        case.model,
        case.prompt_ids,
        settings=case.settings,
        prefill=lambda cache: prefill_from(case.model, embeds, x, cache, layer=layer),
    )
    ids = []
    for (token,), _ in steps:
        if token in case.settings.stop_ids:
            break
        ids.append(token)
    return ids


def windows(num_tokens: int, width: int) -> list[tuple[int, int]]:
    """Neighbouring ranges of `width` tokens that cover a clip; the last may be shorter."""
    return [(first, min(first + width, num_tokens)) for first in range(0, num_tokens, width)]


def _edited(case: Case, site: Site, span: tuple[int, int], values: Tensor, keep: bool) -> Tensor:
    """What the model holds of the clip at a site, with `values` in the range, or everywhere else."""
    first, stop = span
    if site.part == "encoder":  # two frames a token; the odd last frame goes with the last token
        first, stop = 2 * first, 2 * stop if stop < case.num_tokens else len(values)
    own = held(case, site)
    states, written = (values.clone(), own) if keep else (own.clone(), values)
    states[first:stop] = written[first:stop]
    return states


def _decoder_input(
    case: Case, site: Site, states: Tensor, len_prompt: int | None
) -> tuple[Tensor, int]:
    """From edited states (B, E, C) or (B, A, D) to what enters a decoder block (B, T, D), and which block.

    `len_prompt` cuts the sequence after the prompt.
    """
    layer = site.layer
    if site.part == "encoder":
        states, layer = encode_from(case.model, states, layer=site.layer), 0
    x = case.decoder_states[layer][:, :len_prompt].repeat(len(states), 1, 1)
    x[:, case.first_audio : case.first_audio + case.num_tokens] = states
    return x, layer


def _check_range(case: Case, first: int, stop: int) -> None:
    if not 0 <= first < stop <= case.num_tokens:
        raise ChatError(
            f"tokens {first} to {stop} were asked for; the clip has tokens 0 to {case.num_tokens}, and a range "
            "holds at least one"
        )
