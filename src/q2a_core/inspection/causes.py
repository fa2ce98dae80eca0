"""What an edit does to the answer, beside what random edits of the same width do; and the map of layer by time.

Changes are in nats of the reply's log-probability: -0.7 halves it, 0 leaves it alone. A change means something only
beside its control, because any damage costs the reply something, and beside what the whole clip is worth, because a
reply may stand without the clip.
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
    row_length,
    sites,
    windows,
)

CONTROLS = (5, 16)
"""Fewest and most random ranges beside each edit."""
CONTROL_POSITIONS = 4000
"""Sequence positions that the random ranges may cost, so that a long clip answers soon too."""
MOST_WINDOWS = 40
"""Columns of a layer-by-time map, so that a long clip does not take minutes."""
NARROWEST = 3
"""Tokens per column at least: 120 ms, about a speech sound."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Effect:
    """What one edit did. With `keep` the comparison is with a clip that is overwritten as a whole, so changes rise."""

    before: np.ndarray  # (R,) log-probability of each reply token: of the clip, or with `keep` of the overwritten clip
    after: np.ndarray  # (R,)
    whole: np.ndarray  # (R,) what `after` would be if the edit were the largest possible: all overwritten, or all kept
    # (K, R) log-probabilities with random ranges of the same width in its place
    controls: np.ndarray
    control_ranges: list[tuple[int, int]]
    keep: bool
    reply_ids: list[int]
    """The new greedy reply."""
    reply: str

    @property
    def change(self) -> float:
        """Change of the whole reply's log-probability, in nats."""
        return float((self.after - self.before).sum())

    @property
    def whole_change(self) -> float:
        """The same if the whole clip were overwritten, or kept."""
        return float((self.whole - self.before).sum())

    @property
    def control_changes(self) -> np.ndarray:
        """(K,) changes under the random ranges."""
        return (self.controls - self.before).sum(axis=-1)

    @property
    def beaten(self) -> int:
        """How many of the random ranges did less than this one: harmed less, or with `keep` helped less."""
        sign = 1 if self.keep else -1
        return int((sign * self.control_changes < sign * self.change).sum())


def edit_effect(
    case: Case,
    span: tuple[int, int],
    *,
    fill: str,
    rng: np.random.Generator,
    site: Site = AUDIO_TOKENS,
    other: Case | None = None,
    keep: bool = False,
    controls: int | None = None,
) -> Effect:
    """Overwrite audio tokens [first, stop) at a site, or with `keep` all others, and measure what the reply does.

    `rng` draws noise and `controls` random ranges, by default `num_controls`. Raises ChatError.
    """
    values = fill_values(case, site, fill, rng=rng, other=other)
    count = num_controls(case, site) if controls is None else controls
    random_ranges = control_ranges(case.num_tokens, span, count=count, rng=rng)
    logps = edited_logps(case, site, [span, *random_ranges], values, keep=keep)
    before, whole = _ends(case, site, values, keep=keep)
    reply_ids = edited_reply(case, site, span, values, keep=keep)
    return Effect(
        before=before,
        after=logps[0],
        whole=whole,
        controls=logps[1:],
        control_ranges=random_ranges,
        keep=keep,
        reply_ids=reply_ids,
        reply=case.tokenizer.decode(reply_ids),
    )


def num_controls(case: Case, site: Site) -> int:
    """How many random ranges can be afforded at a site: 16 for a clip of a few seconds, 5 for one of half a minute."""
    fewest, most = CONTROLS
    return min(max(CONTROL_POSITIONS // row_length(case, site), fewest), most)


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
    """Change of each reply token's log-probability for every site and window."""

    sites: list[Site]
    windows: list[tuple[int, int]]
    change: np.ndarray  # (sites, windows, R) nats; with `keep` what the window alone brings back
    whole: np.ndarray  # (sites, R) the same for the whole clip

    def of(self, first: int = 0, stop: int | None = None) -> np.ndarray:
        """(sites, windows) change of reply tokens [first, stop) together; of the whole reply by default."""
        return self.change[..., first:stop].sum(axis=-1)


def causal_map(
    case: Case,
    *,
    fill: str,
    rng: np.random.Generator,
    width: int | None = None,
    keep: bool = False,
    only: Sequence[Site] | None = None,
) -> CausalMap:
    """The whole map: every window of `width` tokens (else `window_width`'s) at every site, or at those in `only`."""
    places = list(only or sites(case.model.config))
    spans = windows(case.num_tokens, width or window_width(case))
    rows = list(causal_rows(case, places, spans, fill=fill, rng=rng, keep=keep))
    return collect_rows(places, spans, rows)


def causal_rows(
    case: Case,
    places: Sequence[Site],
    spans: Sequence[tuple[int, int]],
    *,
    fill: str,
    rng: np.random.Generator,
    other: Case | None = None,
    keep: bool = False,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Site by site, for those who show progress: changes (windows, R) and that of the whole clip (R,)."""
    for site in places:
        values: Tensor = fill_values(case, site, fill, rng=rng, other=other)
        before, whole = _ends(case, site, values, keep=keep)
        yield edited_logps(case, site, spans, values, keep=keep) - before, whole - before


def collect_rows(
    places: list[Site],
    spans: list[tuple[int, int]],
    rows: list[tuple[np.ndarray, np.ndarray]],
) -> CausalMap:
    """The map from its rows."""
    return CausalMap(
        sites=places,
        windows=spans,
        change=np.stack([change for change, _ in rows]),
        whole=np.stack([whole for _, whole in rows]),
    )


def window_width(case: Case) -> int:
    """Tokens per window such that a clip has at most MOST_WINDOWS."""
    return max(NARROWEST, -(-case.num_tokens // MOST_WINDOWS))


def _ends(case: Case, site: Site, values: Tensor, *, keep: bool) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities (R,) without the edit and with the largest one."""
    heard = case.logps.cpu().numpy()
    [overwritten] = edited_logps(case, site, [(0, case.num_tokens)], values)
    return (overwritten, heard) if keep else (heard, overwritten)
