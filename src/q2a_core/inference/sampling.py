"""From logits to the next token: repetition penalty, temperature, top-k, top-p, greedy.

Order and meaning are those of transformers' `generate`, and so are the defaults that a `generation_config.json` leaves
open: greedy unless `do_sample`, top-k 50 when sampling. The repetition penalty also holds for greedy decoding.
"""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from q2a_core.checkpoint.generation_file import INERT
from q2a_core.errors import ChatError

DEFAULT_NEW_TOKENS = 256
"""Longest reply where neither caller nor checkpoint says otherwise (transformers would stop after 20 tokens)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationSettings:
    """How a reply is decoded."""

    stop_ids: tuple[int, ...] = ()
    """Tokens that end a reply."""
    max_new_tokens: int = DEFAULT_NEW_TOKENS
    """Longest reply in tokens."""
    min_new_tokens: int = 0
    """Tokens before which no stop token is allowed."""
    temperature: float = 0.0
    """Divides the logits; 0 is greedy."""
    top_k: int = 50
    """Sample among this many best tokens; 0 is no limit."""
    top_p: float = 1.0
    """Sample among the best tokens that together hold this probability."""
    repetition_penalty: float = 1.0
    """Divides positive and multiplies negative logits of tokens seen in prompt or reply."""

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "min_new_tokens", "top_k"):
            _require_type(name, getattr(self, name), Integral, "a whole number")
        for name in ("temperature", "top_p", "repetition_penalty"):
            _require_type(name, getattr(self, name), Real, "a number")
        for token in self.stop_ids:
            _require_type("eos_token_id", token, Integral, "one token id or a list of them")
        _require("max_new_tokens", self.max_new_tokens, self.max_new_tokens >= 1, "at least 1")
        _require("min_new_tokens", self.min_new_tokens, self.min_new_tokens >= 0, "0 or more")
        fits = self.temperature == 0 or 1e-3 <= self.temperature < 1e4
        _require("temperature", self.temperature, fits, "0 (greedy), or 0.001 to 10,000")
        _require("top_k", self.top_k, self.top_k >= 0, "0 (no limit) or more")
        _require("top_p", self.top_p, 0 < self.top_p <= 1, "above 0 and at most 1")
        fits = 1e-3 <= self.repetition_penalty <= 1e3
        _require("repetition_penalty", self.repetition_penalty, fits, "0.001 to 1,000")

    @classmethod
    def from_generation_config(
        cls, values: dict[str, Any], *, prompt_length: int = 0, **overrides: Any
    ) -> "GenerationSettings":
        """What transformers' `generate` would use, with `overrides` that are not None in their place."""
        stop = values.get("eos_token_id")
        settings: dict[str, Any] = {
            "stop_ids": tuple(
                stop if isinstance(stop, list) else [stop] if stop is not None else ()
            )
        }
        for name in ("max_new_tokens", "min_new_tokens", "top_k", "top_p", "repetition_penalty"):
            if values.get(name) is not None:
                settings[name] = values[name]
        if "max_new_tokens" not in settings and values.get("max_length") is not None:
            _require_type("max_length", values["max_length"], Integral, "a whole number")
            settings["max_new_tokens"] = max(values["max_length"] - prompt_length, 1)
        do_sample = values.get("do_sample")
        if not isinstance(do_sample, bool | None):
            raise ChatError(f"do_sample is {do_sample!r}; expected true or false")
        if do_sample:
            temperature = values.get("temperature")
            settings["temperature"] = 1.0 if temperature is None else temperature
        settings |= {name: value for name, value in overrides.items() if value is not None}
        return cls(**settings)


def unsupported_settings(values: dict[str, Any]) -> list[str]:
    """Entries of a `generation_config.json` that would change the reply and are not implemented, as `name=value`."""
    return [
        f"{name}={values[name]}"
        for name, inert in INERT.items()
        if values.get(name, inert) not in (inert, None, [], {})
    ]


def next_tokens(
    logits: Tensor, settings: GenerationSettings, generator: torch.Generator | None
) -> Tensor:
    """Choose one token per row of already penalised logits (B, V) -> (B,)."""
    if settings.temperature == 0:
        return logits.argmax(-1)
    logits, places = logits / settings.temperature, None
    if 0 < settings.top_k < logits.shape[-1]:
        # the draw is made on the CPU, so that a seed means the same everywhere: it gets no more than it needs
        logits, places = _best(logits, settings.top_k)
    weights = keep_top_p(logits, settings.top_p).softmax(-1)
    drawn = torch.multinomial(
        weights.to("cpu" if generator is None else generator.device), 1, generator=generator
    ).to(logits.device)
    return (drawn if places is None else places.gather(-1, drawn)).squeeze(-1)


def _best(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best logits of each row (B, k), or more where some are equal to the k-th, and which they are."""
    equal = logits >= logits.topk(k).values[..., -1:]
    kept, places = logits.topk(int(equal.sum(-1).max()))
    return keep_top_k(kept, k), places


def penalise_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make tokens in `seen` (B, V), boolean, less likely (Keskar et al. 2019)."""
    if penalty == 1.0:
        return logits
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Logits below the k-th best of their row become -inf."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    return logits.masked_fill(logits < logits.topk(k).values[..., -1:], float("-inf"))


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of best tokens whose probabilities reach p (Holtzman et al. 2020); at least one."""
    if p >= 1:
        return logits
    ordered, order = logits.sort(descending=False)
    dropped = ordered.softmax(-1).cumsum(-1) <= 1 - p
    dropped[..., -1] = False
    return logits.masked_fill(dropped.scatter(-1, order, dropped), float("-inf"))


def _require(name: str, value: float, holds: bool, expected: str) -> None:
    if not holds:
        raise ChatError(f"{name} is {value}; expected {expected}")


def _require_type(name: str, value: Any, kind: type, expected: str) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ChatError(f"{name} is {value!r}; expected {expected}")
