"""Every kernel compiled for GPUs that are not here: Triton brings the compiler, and only running needs the device."""

import importlib.util

import pytest
import torch

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)

ROOM = {75: 64, 86: 99, 90: 227}
"""Fast memory that a program may have, KiB: T4, GeForce 30 and 40, H100 (CUDA programming guide)."""
TYPES = {
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.int32: "i32",
    torch.int64: "i64",
}
CASES = {
    (75, torch.float16, 64, True, False),
    (86, torch.bfloat16, 128, True, False),
    (86, torch.float32, 128, False, True),
    (90, torch.bfloat16, 128, True, False),
    (90, torch.bfloat16, 64, False, True),
}


class Launches:
    """Stands for a kernel: notes what it would have been started with."""

    def __init__(self, kernel, found):
        self.kernel, self.found = kernel, found

    def __getitem__(self, grid):
        return lambda *arguments, **options: self.found.append((self.kernel, arguments, options))


def compiled(kernel, arguments, options, capability):
    """The kernel as that launch would compile it."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    values = dict(zip(kernel.arg_names, arguments, strict=False))
    values |= {name: value for name, value in options.items() if name in kernel.arg_names}
    rest = {name: value for name, value in options.items() if name not in kernel.arg_names}
    signature, constants, facts = {}, {}, {}
    for place, (name, parameter) in enumerate(zip(kernel.arg_names, kernel.params, strict=True)):
        value = values[name]
        if parameter.is_constexpr or value is None or isinstance(value, bool):
            signature[name], constants[(place,)] = "constexpr", value
        elif isinstance(value, torch.Tensor):
            signature[name], facts[(place,)] = "*" + TYPES[value.dtype], [["tt.divisibility", 16]]
        elif isinstance(value, int):
            signature[name] = "i32"
            if value % 16 == 0 and not parameter.do_not_specialize:
                facts[(place,)] = [["tt.divisibility", 16]]
        elif isinstance(value, float):
            signature[name] = "fp32"
        else:  # tiles for the copy engine
            shape = ",".join(map(str, value.block_shape))
            signature[name] = f"tensordesc<{TYPES[value.base.dtype]}[{shape}]>"
    source = ASTSource(kernel, signature, constants, facts)
    return compile(source, target=GPUTarget("cuda", capability, 32), options=rest)


@pytest.fixture
def launches(monkeypatch):
    """All launches of a call, none of them made."""
    from triton.runtime.jit import JITFunction

    from q2a_core.kernels import (
        attention_backward_triton,
        attention_decode_triton,
        attention_map_triton,
        attention_triton,
        decode_step_triton,
    )

    found = []
    for module in (
        attention_backward_triton,
        attention_decode_triton,
        attention_map_triton,
        attention_triton,
        decode_step_triton,
    ):
        for name, value in vars(module).copy().items():
            if isinstance(value, JITFunction) and "kernel" in name:
                monkeypatch.setattr(module, name, Launches(value, found))
        if hasattr(module, "check_runnable"):
            monkeypatch.setattr(module, "check_runnable", lambda q: None)
    return found


def assert_they_fit(launches, capability):
    for kernel, arguments, options in launches:
        found = compiled(kernel, arguments, options, capability)
        assert found.metadata.shared <= ROOM[capability] * 1024, (kernel.__name__, options)


@pytest.mark.parametrize(
    ("capability", "dtype", "width", "causal", "ragged"), sorted(CASES, key=str)
)
def test_attention_compiles_and_fits(
    launches, monkeypatch, capability, dtype, width, causal, ragged
):
    from q2a_core.kernels import attention_backward_triton, attention_map_triton, attention_triton
    from q2a_core.kernels.attention_decode_triton import decode_triton

    for module in (attention_triton, attention_backward_triton):
        monkeypatch.setattr(module, "fast_memory", lambda device: ROOM[capability] * 1024)
    if capability < 90:
        monkeypatch.setattr(attention_triton, "tile_descriptor", lambda x, rows: None)
    q = torch.zeros(2, 4, 256, width, dtype=dtype)
    k = torch.zeros(2, 2, 256, width, dtype=dtype)
    lengths = torch.tensor([256, 100], dtype=torch.int32) if ragged else None
    out, lse = attention_triton.run_forward(q, k, k, causal, lengths, 0.1, False)
    attention_backward_triton.run_backward((q, k, k, out, lse), out, causal, lengths, 0.1, False)
    decode_triton(q[:, :, :1], k, k, lengths)
    attention_map_triton.map_triton(
        q, k, torch.arange(256), [0, 3], 2, 2, causal, lengths, 0.1, "right", lse
    )
    assert len(launches) == 7
    if capability == 90:
        assert (launches[0][1][3] is not None) == (width == 128), "the copy engine's tiles"
    assert_they_fit(launches, capability)


@pytest.mark.parametrize("capability", [75, 90])
def test_the_decoding_step_compiles(launches, capability):
    from q2a_core.kernels.decode_step_triton import matvec, rotary_append

    x, wide = torch.zeros(96, dtype=torch.float16), torch.zeros(5000, dtype=torch.float16)
    weight = x.new_zeros(96, 96)
    matvec(x, [weight] * 3, biases=[x] * 3, gain=x, eps=1e-6)
    matvec(x, [weight] * 3)
    matvec(x, [weight], residual=x)
    matvec(x, [weight] * 2, gain=x, eps=1e-6, gated=True)
    matvec(wide, [wide.new_zeros(96, 5000)])
    table = (x.new_zeros(50, 32),) * 2
    caches = (x.new_zeros(1, 50, 32),) * 2
    rotary_append(x, table, torch.zeros(1, dtype=torch.long), *caches)
    assert len(launches) == 6
    assert_they_fit(launches, capability)
