"""Where the Triton kernel can run: on a GPU, in Triton's interpreter, or not at all."""

import importlib.util
import os
import sys
from dataclasses import dataclass

VARIABLE = "TRITON_INTERPRET"


@dataclass(frozen=True, kw_only=True, slots=True)
class TritonHere:
    """What a lesson may do with the kernel."""

    device: str | None
    """cuda, or cpu for the interpreter; None where the kernel cannot run."""
    sentence: str


def triton_here() -> TritonHere:
    """Find out, and switch the interpreter on where there is no GPU; call it before anything imports Triton."""
    if importlib.util.find_spec("triton") is None:
        return TritonHere(
            device=None,
            sentence="Triton is not installed here (on Linux `pip install triton` brings it); the plain tiles go on.",
        )
    import torch

    if torch.cuda.is_available() and os.environ.get(VARIABLE) != "1":
        name = torch.cuda.get_device_name()
        return TritonHere(device="cuda", sentence=f"The kernel runs compiled, on {name}.")
    if os.environ.get(VARIABLE) != "1":
        if "triton" in sys.modules:
            return TritonHere(
                device=None,
                sentence="Triton is loaded already, without its interpreter, and there is no GPU: restart the kernel "
                "of this notebook and run this cell first.",
            )
        os.environ[VARIABLE] = "1"
    return TritonHere(
        device="cpu",
        sentence="No GPU: the kernel's lines run in Triton's interpreter, one program after another. That shows what "
        "they compute, and nothing about speed.",
    )
