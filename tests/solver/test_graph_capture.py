"""What goes on around the recording of a CUDA graph, with a graph that computes anew on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from caffe_compat import Net, load_net
from caffe_compat.errors import SolverError
from caffe_compat.solver.compiled import Passes, _Graph
from caffe_compat.solver.precision import Precision

CPU = torch.device("cpu")
TEXT = """
layer { name: "x" type: "Input" top: "x" top: "y" input_param { shape { dim: 4 dim: 3 } shape { dim: 4 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "fc" top: "fc" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "y" top: "loss" }
"""


def passes() -> Passes:
    net = load_net(TEXT, "TRAIN", seed=1)
    return Passes(net, Precision("fp32", net, CPU), False, False, lambda notes: None)


def batch(number: int) -> dict[str, torch.Tensor]:
    return {"x": torch.randn(4, 3, generator=torch.Generator().manual_seed(number)), "y": torch.arange(4.0)}


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands for torch.cuda; the options of the captures."""
    options: dict[str, Any] = {}
    stream = SimpleNamespace(wait_stream=lambda other: None)

    @contextmanager
    def graph(recorded: Any, **given: Any) -> Iterator[None]:
        options.update(given)
        yield

    for name, function in {
        "graph": graph, "CUDAGraph": SimpleNamespace, "Stream": lambda: stream, "current_stream": lambda: stream,
        "stream": nullcontext, "get_rng_state": torch.get_rng_state, "set_rng_state": torch.set_rng_state,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, function)
    return options


def recorded(made: Passes) -> _Graph:
    graph = _Graph(made._net, made._forward_backward)

    def replay() -> None:
        blobs, loss = made._forward_backward(graph._inputs)
        with torch.no_grad():
            for name, blob in graph._result[0].items():
                blob.copy_(blobs[name])
            graph._result[1].copy_(loss)

    original = graph._capture

    def captured(blobs: dict[str, torch.Tensor]) -> None:
        original(blobs)
        graph._graph.replay = replay  # type: ignore[union-attr]

    graph._capture = captured  # type: ignore[method-assign]
    return graph


def state(net: Net) -> list[torch.Tensor]:
    return [*net.buffers(), *(param.grad for param in net.parameters() if param.grad is not None)]


def test_warming_up_leaves_no_trace(capture: dict[str, Any]) -> None:
    plain, made = passes(), passes()
    graph = recorded(made)
    for number in range(3):
        expected = plain._forward_backward(batch(number))
        outputs, loss = graph(batch(number))
        assert torch.equal(loss, expected[1])
        assert torch.equal(outputs["loss"], expected[0]["loss"])
    for mine, theirs in zip(state(made._net), state(plain._net), strict=True):
        assert torch.equal(mine, theirs)


def test_other_threads_may_use_cuda_during_the_capture(capture: dict[str, Any]) -> None:
    """Those that read ahead pin their batches, those of NCCL look at their events."""
    recorded(passes())(batch(0))
    assert capture == {"capture_error_mode": "thread_local"}


def test_batches_have_one_size(capture: dict[str, Any]) -> None:
    graph = recorded(passes())
    graph(batch(0))
    with pytest.raises(SolverError, match=r"blob 'x' has shape \[3, 3\], the CUDA graph was made for \[4, 3\]"):
        graph({"x": torch.zeros(3, 3), "y": torch.zeros(3)})


def test_a_capture_that_fails_is_not_replayed(capture: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made = passes()
    graph = recorded(made)

    def failing(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", failing)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="not permitted"):
            graph(batch(0))
