"""Captures as PyTorch and CUDA allow them, with graphs that only note what becomes of them."""

import contextlib
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from q2a_core.model.fast_paths import cuda_graph
from q2a_core.model.fast_paths.cuda_graph import capture

DEVICE = torch.device("cuda", 0)


class Graph:
    """Stands for a graph."""


@pytest.fixture
def handles(monkeypatch):
    """A CUDA of notes alone: the threads that have a handle of cuBLAS, and a capture that ends unless it was broken."""
    found = set()

    @contextlib.contextmanager
    def graph(captured, *, stream, capture_error_mode):
        Broken.count = 0
        yield
        if Broken.count:
            raise RuntimeError("operation failed due to a previous error during capture")

    def entered(*_, **__):
        return contextlib.nullcontext()

    for name in ("device", "stream", "Stream"):
        monkeypatch.setattr(torch.cuda, name, entered)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "current_blas_handle", lambda: found.add(threading.get_ident()))
    for name in ("_BROKEN", "_TOGETHER"):
        monkeypatch.setattr(cuda_graph, name, [])
    cuda_graph._side_stream.cache_clear()
    yield found
    cuda_graph._side_stream.cache_clear()


class Broken(RuntimeError):
    """An error of CUDA's, after which the capture cannot be ended either."""

    count = 0

    def __init__(self, *arguments):
        super().__init__(*arguments)
        Broken.count += 1


def captured(run=lambda: torch.ones(1)):
    found = capture(DEVICE, run)
    assert found is not None
    return found[0]


def test_a_thread_that_never_multiplied_may_capture(handles):
    def multiply():
        if threading.get_ident() not in handles:
            raise Broken("CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`")
        return torch.ones(1)

    captured(multiply)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(captured, multiply).result()


@pytest.mark.usefixtures("handles")
def test_memory_that_one_graph_took_for_others_goes_with_the_last_of_them():
    first, second = captured(), captured()
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is not None, "the second may write to what the first one took"
    del second
    gc.collect()
    assert gone() is None


@pytest.mark.usefixtures("handles")
def test_after_a_drop_a_graph_needs_no_earlier_one():
    first, second = captured(), captured()
    gone = weakref.ref(first)
    del second
    third = captured()
    del first
    gc.collect()
    assert gone() is None, "the memory was forgotten, and the third took its own"
    assert cuda_graph._NEEDED[third] == []


@pytest.mark.usefixtures("handles")
@pytest.mark.parametrize(("error", "kept"), [(Broken, 1), (torch.OutOfMemoryError, 0)])
def test_only_a_capture_that_could_not_be_ended_is_kept(error, kept):
    def run():
        raise error("no")

    assert capture(DEVICE, run) is None
    assert len(cuda_graph._BROKEN) == kept


@pytest.mark.usefixtures("handles")
def test_what_is_no_matter_of_cuda_is_raised():
    def run():
        raise ValueError("found")

    with pytest.raises(ValueError, match="found"):
        capture(DEVICE, run)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_the_device_a_thread_that_never_multiplied_may_capture():
    device = torch.device("cuda", torch.cuda.current_device())
    x = torch.eye(64, device=device)
    torch.testing.assert_close(x @ x, x)  # this thread's handle is not free for the other
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(capture, device, lambda: x @ x).result()
    assert found is not None
    graph, output = found
    x.mul_(3)
    graph.replay()
    assert float(output.trace()) == 64 * 9
