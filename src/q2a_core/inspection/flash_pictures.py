"""Flash attention as uint8 pictures: the map of weights with the tile at work, and what is held between two tiles.

Colours are told apart by lightness too, so that they can be read without colour vision, on light and on dark pages.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from q2a_core.inspection.bug_hunt import ErrorPattern
    from q2a_core.inspection.flash_clip import HeadRun, StepView

SIDE = 480
"""Pixels of a map's side, at most; small maps have whole pixels for a place."""
LIGHTNESS = 0.5
"""Exponent of the weights: small ones are seen beside large ones."""
STRIP, GAP = 48, 10
"""Pixels across of a picture with one value in a row, and between two pictures."""
UNSEEN, PADDING, STRIPE = (214, 219, 219), (150, 158, 160), (120, 128, 130)
OUTLINE, RIM = (213, 94, 0), (255, 255, 255)


def _table(*anchors: tuple[int, int, int]) -> np.ndarray:
    """uint8 (256, 3), evenly between the anchors."""
    places = np.linspace(0, 255, len(anchors))
    channels = [
        np.interp(np.arange(256), places, channel) for channel in zip(*anchors, strict=True)
    ]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


SEQUENTIAL = _table(
    (20, 30, 70), (33, 77, 120), (31, 125, 135), (75, 170, 120), (180, 210, 80), (253, 231, 100)
)
DIVERGING = _table((165, 80, 5), (240, 180, 110), (245, 245, 245), (130, 180, 215), (10, 75, 135))


def colours(values: np.ndarray, *, diverging: bool = False) -> np.ndarray:
    """uint8 (..., 3) of values from 0 to 1; dark to light, or orange over white (0.5) to blue. NaN is grey."""
    table = DIVERGING if diverging else SEQUENTIAL
    unseen = np.isnan(values)
    found = table[np.rint(255 * np.clip(np.where(unseen, 0, values), 0, 1)).astype(np.uint8)]
    found[unseen] = UNSEEN
    return found


def map_picture(found: "HeadRun", number: int) -> np.ndarray:
    """uint8 (S, S, 3): final weights of the tiles so far, padding striped, the tile at work outlined.

    Rows are queries from above, columns keys from the left.
    """
    weights = found.run.weights_so_far(number).numpy()
    places = len(weights)
    with np.errstate(invalid="ignore"):
        picture = colours((_fit(weights) / max(found.peak, 1e-30)) ** LIGHTNESS)
    scale = max(SIDE // places, 1)
    picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    side = len(picture)
    edge = -(-found.run.length * side // places)
    _stripe(picture, edge)
    step = found.run.steps[number]
    box = [round(min(place, places) * side / places) for place in (*step.queries, *step.keys)]
    for width, colour in ((4, OUTLINE), (1, RIM)):
        _outline(picture, box, width, colour)
    return picture


def held_pictures(view: "StepView", *, height: int = 256) -> dict[str, np.ndarray]:
    """uint8 (height or a little less, W, 3) of maximum, sum and accumulator, one band for each row of the tile."""
    rows = len(view.new_max)
    band = max(height // rows, 1)
    finite = np.where(np.isfinite(view.new_max), view.new_max, np.nan)
    sums = np.where(view.new_sum > 0, view.new_sum, np.nan)
    largest = max(float(np.abs(view.accumulator).max()), 1e-30)
    wide = max(height // view.accumulator.shape[1], 1)
    pictures = {
        "maximum": colours(_spread(finite))[:, None],
        "sum": colours(_spread(sums))[:, None],
        "accumulator": colours(0.5 + view.accumulator / (2 * largest), diverging=True),
    }
    widths = {"maximum": STRIP, "sum": STRIP, "accumulator": wide}
    return {
        name: picture.repeat(band, axis=0).repeat(widths[name], axis=1)
        for name, picture in pictures.items()
    }


def error_pictures(pattern: "ErrorPattern", *, tile: int, side: int = 256) -> np.ndarray:
    """uint8 (H, W, 4), dark where nothing is wrong: errors by tile, by row, and how far weights' sums lie from 1.

    A query stands at one height in all three. Where there are more queries than lines, a line has its worst one.
    """
    queries = len(pattern.by_tile) * tile
    starts = np.arange(min(queries, SIDE)) * queries // min(queries, SIDE)
    down = max(side // len(starts), 1)
    across = down * len(starts) // len(pattern.by_tile)
    pictures = []
    for values, size, width in (
        (pattern.by_tile[starts // tile], pattern.size, across),
        (_worst(pattern.by_row, queries, starts), pattern.size, STRIP),
        (_worst(np.abs(pattern.weight_sums - 1), queries, starts), 1.0, STRIP),
    ):
        with np.errstate(invalid="ignore"):
            picture = colours(np.minimum(values / max(size, 1e-30), 1.0) ** LIGHTNESS)
        pictures.append(picture.repeat(down, axis=0).repeat(width, axis=1))
    return side_by_side(pictures)


def _worst(values: np.ndarray, queries: int, starts: np.ndarray) -> np.ndarray:
    """(lines, 1): the largest of the values (T,) from each start to the next; NaN beyond the last."""
    whole = np.full(queries, np.nan)
    whole[: len(values)] = values
    return np.fmax.reduceat(whole, starts)[:, None]


def side_by_side(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """uint8 (H, W, 4): pictures (H, W, 3) of one height as one, clear between them, so that no page can shift them."""
    gap = np.zeros((len(pictures[0]), GAP, 4), np.uint8)
    parts = [gap]
    for picture in pictures:
        opaque = np.full((*picture.shape[:2], 1), 255, np.uint8)
        parts += [np.concatenate([picture, opaque], axis=2), gap]
    return np.concatenate(parts[1:-1], axis=1)


def _spread(values: np.ndarray) -> np.ndarray:
    """From 0 at the lowest to 1 at the highest; all 0.5 where they are the same."""
    if np.isnan(values).all():
        return values
    low, high = np.nanmin(values), np.nanmax(values)
    return (values - low) / (high - low) if high > low else np.where(np.isnan(values), np.nan, 0.5)


def _fit(weights: np.ndarray) -> np.ndarray:
    """A square map at no more than SIDE: the largest weight of the places that share a pixel, NaN where none is."""
    places = len(weights)
    if places <= SIDE:
        return weights
    starts = np.arange(SIDE) * places // SIDE
    filled = np.where(np.isnan(weights), -1.0, weights)
    pooled = np.maximum.reduceat(np.maximum.reduceat(filled, starts, axis=0), starts, axis=1)
    return np.where(pooled < 0, np.nan, pooled)


def _stripe(picture: np.ndarray, edge: int) -> None:
    """Rows and columns from `edge` on are padding."""
    row, column = np.indices(picture.shape[:2])
    beyond = (row >= edge) | (column >= edge)
    picture[beyond] = PADDING
    picture[beyond & ((row + column) % 12 < 3)] = STRIPE


def _outline(picture: np.ndarray, box: list[int], width: int, colour: tuple[int, ...]) -> None:
    top, bottom, left, right = box
    inner = picture[top:bottom, left:right]
    inner[:width], inner[-width:] = colour, colour
    inner[:, :width], inner[:, -width:] = colour, colour
