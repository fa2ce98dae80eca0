"""Batches of which a clip has gone away, for what a trainer and its workers make of that."""

from q2a_core.errors import AudioError
from q2a_core.training.batches import CorpusBatches
from q2a_core.training.step_batches import MEGABATCH


class UnreadableBatches(CorpusBatches):
    """The clips of the second megabatch cannot be read any more."""

    def draw(self, numbers, rng):
        numbers = list(numbers)
        if numbers[0] >= MEGABATCH * self.batch_size:
            raise AudioError("c.wav: not found; expected a sound file")
        return super().draw(numbers, rng)
