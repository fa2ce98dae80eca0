"""Activation patching between two clips: how far do states of one carry the other towards the first one's reply?

What is measured is which of the two replies the model prefers, so the patch has to bring the one and take the other. On
the scale of the two clips themselves 0 is the clip as it was and 1 the clip that the states come from; a patch may go
beyond either end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from q2a_core.inspection.case import Case
from q2a_core.inspection.causes import window_width
from q2a_core.inspection.edits import Site, edited_logps, fill_values, sites, windows


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PatchMap:
    """Normalised effects of patching each window, and the whole clip, at each site."""

    sites: list[Site]
    windows: list[tuple[int, int]]
    own: float
    """Nats by which the patched clip prefers the donor's reply to its own; negative if it stands by its own."""
    other: float
    """The same in the donor's clip."""
    effect: np.ndarray  # (sites, windows) 0 is the clip, 1 the donor; NaN where both prefer alike
    whole: np.ndarray  # (sites,)


def patch_map(
    case: Case,
    donor: Case,
    *,
    width: int | None = None,
    only: Sequence[Site] | None = None,
) -> PatchMap:
    """Write what `donor` holds into `case`, window by window of `width` tokens (else `window_width`'s), site by site.

    Both cases are of one model; a shorter donor is repeated. Raises ChatError.
    """
    places = list(only or sites(case.model.config))
    spans = windows(case.num_tokens, width or window_width(case))
    for_donor = case.with_reply(donor.reply_ids)
    own = _total(for_donor) - _total(case)
    other = _total(donor) - _total(donor.with_reply(case.reply_ids))
    rows = []
    for site in places:
        values = fill_values(case, site, "other", other=donor)
        ranges = [*spans, (0, case.num_tokens)]
        towards, away = (edited_logps(one, site, ranges, values) for one in (for_donor, case))
        rows.append(towards.sum(axis=-1) - away.sum(axis=-1))
    effect = patch_effect(np.stack(rows), own, other)
    return PatchMap(
        sites=places,
        windows=spans,
        own=own,
        other=other,
        effect=effect[:, :-1],
        whole=effect[:, -1],
    )


def patch_effect(patched: np.ndarray, own: float, other: float) -> np.ndarray:
    """Where `patched` lies on the way from `own` (0) to `other` (1); NaN if there is no way."""
    if other == own:
        return np.full_like(patched, np.nan)
    return (patched - own) / (other - own)


def _total(case: Case) -> float:
    return float(case.logps.sum())
