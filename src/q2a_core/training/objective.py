"""What a stage optimises: one batch in, summed losses out. The loop knows nothing else of a stage.

Sums and not means, because a step may be cut into micro-batches and spread over processes: each sum is divided by its
count over the whole step, so that every token weighs the same wherever it lies.
"""

from typing import Any

from torch import Tensor, nn

from q2a_core.errors import RunError
from q2a_core.model import Qwen2Audio


class Objective(nn.Module):
    """A model with what its losses need: all that is optimised, and all that a saved state holds."""

    weights: dict[str, float]
    """Sums that make up the loss, with their weights; the other sums are only logged."""

    def __init__(self, model: Qwen2Audio):
        super().__init__()
        self.model = model

    def heads(self) -> dict[str, Tensor]:
        """Weights that only training needs, by name: all that does not belong to the model."""
        return {
            name: tensor.detach().clone()
            for name, tensor in self.state_dict().items()
            if not name.startswith("model.")
        }

    def put_heads(self, heads: dict[str, Tensor]) -> None:
        """Go on with heads that an earlier run trained; those this objective lacks are left. Raises RunError."""
        own = self.state_dict()
        known = {name: tensor for name, tensor in heads.items() if name in own}
        try:
            self.load_state_dict(known, strict=False)
        except RuntimeError as error:
            raise RunError(
                f"the start checkpoint's training heads do not fit its model: {error}; "
                "remove its folder training/ to learn them anew"
            ) from error

    def counts(self, batch: Any) -> dict[str, int]:
        """What each sum is divided by, known from the batch alone: tokens, clips or pairs."""
        raise NotImplementedError

    def tokens(self, batch: Any) -> int:
        """Positions that the decoder reads, padding included."""
        return batch.input_ids.numel()

    def forward(self, batch: Any) -> dict[str, Tensor]:
        """The sums over the batch, by the names of `counts`."""
        raise NotImplementedError
