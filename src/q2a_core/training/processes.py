"""The processes of one run, through accelerate: their device, their sums, and who may write.

Gradients are summed here and not averaged by DistributedDataParallel: every micro-batch's losses are already divided
by the counts of the whole step, so that the sum over processes is the gradient of one large batch.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from q2a_core.errors import RunError

PRECISIONS = ("no", "bf16")


class Processes:
    """This process among those that train together; alone if nobody launched more."""

    def __init__(self, precision: str = "no"):
        if precision not in PRECISIONS:
            raise RunError(f"precision is {precision}; expected one of {', '.join(PRECISIONS)}")
        from accelerate import Accelerator

        launched = int(os.environ.get("WORLD_SIZE", "1"))
        # unless told that it is on CPUs, accelerate takes each of several CPU processes for the only one
        on_cpu = launched > 1 and not torch.cuda.is_available()
        self.accelerator = Accelerator(cpu=on_cpu, mixed_precision=precision)
        self.precision = precision
        self.count = self.accelerator.num_processes
        self.rank = self.accelerator.process_index
        self.device = self.accelerator.device
        if launched != self.count:
            raise RunError(
                f"{launched} processes were launched but they do not see each other: accelerate counts {self.count}; "
                "launch with torchrun"
            )

    @property
    def writes(self) -> bool:
        """Whether this process keeps the lock, the log and the states."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all processes are here."""
        self.accelerator.wait_for_everyone()

    @contextlib.contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process goes ahead, the others follow and find what it made."""
        if not self.writes:
            self.wait()
        yield
        if self.writes:
            self.wait()

    def total(self, values: Tensor) -> Tensor:
        """Element-wise sum over all processes."""
        if self.count == 1:
            return values
        total = self.accelerator.reduce(values.to(self.device), reduction="sum")
        assert isinstance(total, Tensor)
        return total

    def any(self, flag: bool) -> bool:
        """Whether any process says so; all must ask."""
        return flag if self.count == 1 else bool(self.total(torch.tensor(int(flag))) > 0)

    def total_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients by their sums over all processes; one that nobody has counts as zero."""
        moving = list(parameters)
        for parameter in moving:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in moving if parameter.grad is not None]
        flat = self.total(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(
            gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))
