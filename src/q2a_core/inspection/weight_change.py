"""Which weights two checkpoints differ in, and by how much: the norm of the difference over the norm before.

Tensors are read one at a time from both files, so that two checkpoints of any size need the memory of one tensor.
Importing this needs no torch; comparing does.
"""

import contextlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from q2a_core.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

PARTS = ("audio_encoder", "projector", "decoder")
KINDS = {
    "q_proj": "query",
    "k_proj": "key",
    "v_proj": "value",
    "out_proj": "attention out",
    "o_proj": "attention out",
    "fc1": "feed-forward in",
    "gate_proj": "feed-forward in",
    "up_proj": "feed-forward in",
    "fc2": "feed-forward out",
    "down_proj": "feed-forward out",
    "conv1": "convolution",
    "conv2": "convolution",
    "embed_positions": "positions",
    "embed_tokens": "embedding",
    "lm_head": "output head",
    "linear": "projection",
}
"""What a tensor is by the name of its module; the rest are norms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorChange:
    """One tensor of both checkpoints; sums add up over any group of tensors."""

    name: str
    """Our name of it, such as decoder.layers.0.mlp.up_proj.weight."""
    weights: int
    squares: float
    """Sum of squares before."""
    moved: float
    """Sum of squares of the difference."""

    @property
    def part(self) -> str:
        return self.name.split(".")[0]

    @property
    def layer(self) -> int | None:
        """Number of its block, from 0; None outside the blocks."""
        words = self.name.split(".")
        return int(words[2]) if len(words) > 2 and words[1] == "layers" else None

    @property
    def kind(self) -> str:
        """query, key, feed-forward in, and so on."""
        return KINDS.get(self.name.split(".")[-2], "norm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A group of tensors."""

    part: str
    layer: int | None
    kind: str
    """"" where the group holds all kinds."""
    weights: int
    relative: float
    """Norm of the difference over the norm before; 0 for weights that did not move at all."""


def weight_changes(before: str | Path, after: str | Path) -> list[TensorChange]:
    """Every tensor of two checkpoints of one architecture; names, directories or hub ids. Raises CheckpointError."""
    from q2a_core.checkpoint import resolve_source
    from q2a_core.checkpoint.weight_files import stored_tensors, weight_files
    from q2a_core.checkpoint.weights import from_hub_key

    first, second = (weight_files(resolve_source(source)) for source in (before, after))
    found = []
    with contextlib.ExitStack() as files:
        others = _opened(second, files)
        for key, tensor in stored_tensors(first, device="cpu"):
            name = from_hub_key(key)
            if name is None:
                continue
            other = others.pop(name, None)
            if other is None:
                raise CheckpointError(
                    f"{Path(after).name} has no {key}; the two are of different architectures"
                )
            found.append(_change(name, tensor, other[0].get_tensor(other[1])))
    if others:
        raise CheckpointError(
            f"{Path(before).name} has no {next(iter(others))}; the two are of different architectures"
        )
    return found


def _opened(paths: list[Path], files: contextlib.ExitStack) -> dict[str, tuple[Any, str]]:
    """Where each of our names lies in a checkpoint: the open file and the key."""
    from safetensors import SafetensorError, safe_open

    from q2a_core.checkpoint.weights import from_hub_key

    places: dict[str, tuple[Any, str]] = {}
    for path in paths:
        try:
            file = files.enter_context(safe_open(path, framework="pt", device="cpu"))
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path.name} is damaged: {error}") from error
        for key in file.keys():  # noqa: SIM118 - safe_open is no mapping
            name = from_hub_key(key)
            if name is not None:
                places[name] = (file, key)
    return places


def _change(name: str, before: "Tensor", after: "Tensor") -> TensorChange:
    if before.shape != after.shape:
        raise CheckpointError(
            f"{name} has shape {tuple(before.shape)} in one and {tuple(after.shape)} in the other; "
            "only checkpoints of one architecture can be compared"
        )
    old, new = before.double(), after.double()
    return TensorChange(
        name=name,
        weights=before.numel(),
        squares=float(old.square().sum()),
        moved=float((new - old).square().sum()),
    )


def by_part(changes: Iterable[TensorChange]) -> list[Change]:
    """A row for each part, in the order of the flow."""
    return _grouped(changes, lambda c: (c.part, None, ""))


def by_layer(changes: Iterable[TensorChange]) -> list[Change]:
    """A row for each block, and one for each kind of tensor outside the blocks, in the order of the flow."""
    return _grouped(changes, lambda c: (c.part, c.layer, "" if c.layer is not None else c.kind))


def by_kind(changes: Iterable[TensorChange]) -> list[Change]:
    """A row for each kind of tensor in each block: the cells of a map."""
    inside = [change for change in changes if change.layer is not None]
    return _grouped(inside, lambda c: (c.part, c.layer, c.kind))


def _grouped(changes: Iterable[TensorChange], key_of: Any) -> list[Change]:
    groups: dict[tuple[str, int | None, str], list[TensorChange]] = {}
    for change in changes:
        groups.setdefault(key_of(change), []).append(change)
    rows = []
    for (part, layer, kind), members in groups.items():
        squares, moved = (sum(getattr(c, name) for c in members) for name in ("squares", "moved"))
        relative = math.sqrt(moved / squares) if squares else (math.inf if moved else 0.0)
        weights = sum(c.weights for c in members)
        rows.append(Change(part=part, layer=layer, kind=kind, weights=weights, relative=relative))
    return sorted(rows, key=_order)


def _order(row: Change) -> tuple[int, int, int, str]:
    """Parts as sound flows through them; in a part what comes before the blocks, the blocks, what comes after."""
    part = PARTS.index(row.part) if row.part in PARTS else len(PARTS)
    is_late = row.kind in ("norm", "output head")
    return part, 1 if row.layer is not None else 2 if is_late else 0, row.layer or 0, row.kind
