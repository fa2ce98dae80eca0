"""What an edit does to the answer, beside what random edits of the same width do; and the map of layer by time.

Changes are in nats of the reply's log-probability: -0.7 halves it, 0 leaves it alone. A change means something only
beside its control, because any damage costs the reply something.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from q2a_core.inspection.case import Case
from q2a_core.inspection.edits import (
    AUDIO_TOKENS,
    Site,
    edited_logps,
    edited_reply,
    fill_values,
    sites,
    windows,
)

CONTROLS = 16
"""Random ranges beside each edit."""
MOST_WINDOWS = 40
"""Columns of a layer-by-time map, so that a long clip does not take minutes."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Effect:
    """What one edit did."""

    site: Site
    first: int
    stop: int
    before: np.ndarray  # (R,) log-probability of each reply token
    after: np.ndarray  # (R,)
    controls: np.ndarray  # (K,) change of the whole reply under random ranges of the same width
    control_ranges: list[tuple[int, int]]
    reply_ids: list[int]
    """The new greedy reply."""
    reply: str

    @property
    def change(self) -> float:
        """Change of the whole reply's log-probability, in nats."""
        return float((self.after - self.before).sum())

    @property
    def rank(self) -> int:
        """How many of the random ranges harmed the reply less."""
        return int((self.controls > self.change).sum())


def edit_effect(
    case: Case,
    span: tuple[int, int],
    *,
    fill: str,
    rng: np.random.Generator,
    site: Site = AUDIO_TOKENS,
    other: Case | None = None,
    controls: int = CONTROLS,
) -> Effect:
    """Overwrite audio tokens [first, stop) at a site and measure; `rng` draws noise and control ranges. Raises
    ChatError."""
    values = fill_values(case, site, fill, rng=rng, other=other)
    random_ranges = control_ranges(case.num_tokens, span, count=controls, rng=rng)
    logps = edited_logps(case, site, [span, *random_ranges], values)
    before = case.logps.cpu().numpy()
    reply_ids = edited_reply(case, site, span, values)
    return Effect(
        site=site,
        first=span[0],
        stop=span[1],
        before=before,
        after=logps[0],
        controls=(logps[1:] - before).sum(axis=-1),
        control_ranges=random_ranges,
        reply_ids=reply_ids,
        reply=case.tokenizer.decode(reply_ids),
    )


def control_ranges(
    num_tokens: int, span: tuple[int, int], *, count: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """At most `count` different random ranges as wide as `span`; beside it if there is room, else merely elsewhere.

    Empty if the range is the whole clip: then nothing is left to compare with.
    """
    first, stop = span
    width = stop - first
    starts = [start for start in range(num_tokens - width + 1) if start != first]
    apart = [start for start in starts if start >= stop or start + width <= first]
    pool = apart or starts
    chosen = rng.choice(pool, size=min(count, len(pool)), replace=False) if pool else []
    return [(int(start), int(start) + width) for start in sorted(chosen)]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CausalMap:
    """Change of the reply's log-probability for every site and window."""

    sites: list[Site]
    windows: list[tuple[int, int]]
    change: np.ndarray  # (sites, windows) nats


def causal_map(case: Case, *, fill: str, rng: np.random.Generator, **options) -> CausalMap:
    """The whole map; options as in `causal_rows`."""
    width = options.pop("width", None) or window_width(case)
    rows = list(causal_rows(case, fill=fill, rng=rng, width=width, **options))
    return CausalMap(
        sites=[site for site, _ in rows],
        windows=windows(case.num_tokens, width),
        change=np.stack([change for _, change in rows]),
    )


def causal_rows(
    case: Case,
    *,
    fill: str,
    rng: np.random.Generator,
    width: int,
    other: Case | None = None,
    only: Sequence[Site] | None = None,
) -> Iterator[tuple[Site, np.ndarray]]:
    """Row by row, from the encoder's first block to the decoder's last: a site, and the change (windows,) in nats."""
    before = case.logps.cpu().numpy()
    spans = windows(case.num_tokens, width)
    for site in only or sites(case.model.config):
        values: Tensor = fill_values(case, site, fill, rng=rng, other=other)
        yield site, (edited_logps(case, site, spans, values) - before).sum(axis=-1)


def window_width(case: Case) -> int:
    """Tokens per window such that a clip has at most MOST_WINDOWS; at least three (120 ms), about a speech sound."""
    return max(3, -(-case.num_tokens // MOST_WINDOWS))
