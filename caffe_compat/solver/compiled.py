"""How the train net runs forward and backward: layer by layer, compiled, or as a CUDA graph that is replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from caffe_compat.errors import SolverError
from caffe_compat.net import Net
from caffe_compat.net.running import run_nodes
from caffe_compat.solver.feeding import stage_next
from caffe_compat.solver.precision import Precision

Blobs = dict[str, Tensor]
_WARM_UP = 3
"""Passes before a capture, in which libraries choose their kernels and take their memory."""


class Passes:
    """One pass a call: forward, and backward, which adds to the gradients. Returns the outputs, and the loss detached.

    compile: the layers below the data run as one function of torch.compile. cuda_graph: that part is recorded once,
    with its backward pass, and replayed; its sizes may not change, and ``param.grad`` stays where it is
    (``keeps_gradients``). ``tell`` gets a note where a net cannot be compiled; it then runs layer by layer.
    """

    def __init__(
        self, net: Net, precision: Precision, compile: bool, cuda_graph: bool, tell: Callable[[list[str]], None]
    ) -> None:
        self._net, self._precision, self._tell = net, precision, tell
        self._data, self._rest = net.halves()
        self._on_gpu = precision.device.type == "cuda"
        self._compute: Callable[[Blobs], tuple[Blobs, Tensor]] | None = None
        self._trusted = False  # a compiled pass has gone well
        self._graph: _Graph | None = None
        self.keeps_gradients = cuda_graph
        host_work = _host_work(net)
        if cuda_graph:
            if host_work or not self._on_gpu:
                place = f"the net is on the device {precision.device}; accepted: a GPU, with --gpu (in Python: device=)"
                why = host_work or place
                raise SolverError(f"no CUDA graph can be made of this net: {why}")
            self._graph = _Graph(net, self._forward_backward)
        if compile and host_work:
            tell([f"the net runs without torch.compile: {host_work}"])
        elif compile:
            self._compute = torch.compile(self._forward, dynamic=False)

    def __call__(self, inputs: Mapping[str, Tensor]) -> tuple[Blobs, Tensor]:
        result = self._pass(inputs)
        if self._on_gpu:
            stage_next(self._net)
        return result

    def _pass(self, inputs: Mapping[str, Tensor]) -> tuple[Blobs, Tensor]:
        if self._compute is None and self._graph is None:
            return self._layer_by_layer(inputs)
        blobs = dict(inputs)
        run_nodes(self._data, blobs)
        if self._graph is not None:
            blobs, loss = self._graph(blobs)
        else:
            blobs, loss = self._forward_backward(blobs)
        return self._net.finish(blobs, loss), loss

    def _layer_by_layer(self, inputs: Mapping[str, Tensor]) -> tuple[Blobs, Tensor]:
        with self._precision.autocast():
            outputs = self._net(**inputs)
        self._backward(self._net.loss)
        return outputs, self._net.loss.detach()

    def _forward_backward(self, blobs: Blobs) -> tuple[Blobs, Tensor]:
        """The layers below the data; compiled, if that can be done."""
        if self._compute is None:
            return self._backward_of(self._forward, blobs)
        if self._trusted:
            return self._backward_of(self._compute, blobs)
        gradients = [None if p.grad is None else p.grad.clone() for p in self._net.parameters()]
        try:
            result = self._backward_of(self._compute, blobs)
            self._trusted = True
            return result
        except _compiler_errors() as error:
            self._tell([f"the net runs without torch.compile, which failed: {_first_lines(error)}"])
            self._compute = None
            for param, gradient in zip(self._net.parameters(), gradients, strict=True):
                param.grad = gradient
            return self._backward_of(self._forward, blobs)

    def _backward_of(self, compute: Callable[[Blobs], tuple[Blobs, Tensor]], blobs: Blobs) -> tuple[Blobs, Tensor]:
        with self._precision.autocast():
            blobs, loss = compute(blobs)
        self._backward(loss)
        return blobs, loss.detach()

    def _forward(self, blobs: Blobs) -> tuple[Blobs, Tensor]:
        blobs = dict(blobs)
        loss = run_nodes(self._rest, blobs)
        return {name: blobs[name] for name in self._net.outputs}, loss

    def _backward(self, loss: Tensor) -> None:
        if loss.requires_grad:
            self._precision.scaled(loss).backward()


class _Graph:
    """A CUDA graph of ``run(blobs)``, made at the first call, whose inputs and outputs always lie at the same place."""

    def __init__(self, net: Net, run: Callable[[Blobs], tuple[Blobs, Tensor]]) -> None:
        self._net, self._run = net, run
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: Blobs = {}
        self._result: tuple[Blobs, Tensor] = ({}, torch.zeros(()))

    def __call__(self, blobs: Blobs) -> tuple[Blobs, Tensor]:
        if self._graph is None:
            self._capture(blobs)
            assert self._graph is not None
        if changed := [name for name, blob in blobs.items() if blob.shape != self._inputs[name].shape]:
            was, found = (list(blob[changed[0]].shape) for blob in (self._inputs, blobs))
            raise SolverError(
                f"blob '{changed[0]}' has shape {found}, the CUDA graph was made for {was}; accepted: batches of one "
                "size; leave out --cuda-graphs (in Python: cuda_graphs=)"
            )
        if blobs:
            torch._foreach_copy_(list(self._inputs.values()), [blobs[name] for name in self._inputs])
        self._graph.replay()
        outputs, loss = self._result
        return {name: blob.detach().clone() for name, blob in outputs.items()}, loss.clone()

    def _capture(self, blobs: Blobs) -> None:
        """Warm up and record; blobs, statistics, gradients and random numbers are then as before."""
        self._inputs = {name: blob.clone() for name, blob in blobs.items()}
        for param in self._net.parameters():
            if param.requires_grad and param.grad is None:
                param.grad = torch.zeros_like(param)
        changed = [*self._net.buffers(), *(p.grad for p in self._net.parameters() if p.grad is not None)]
        before = [tensor.clone() for tensor in changed]
        generator = torch.cuda.get_rng_state()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._run(self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # thread_local: the threads that read ahead go on, and pin memory, which would break a capture of all threads
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._result = self._run(self._inputs)
        self._graph = graph
        torch.cuda.set_rng_state(generator)
        for tensor, value in zip(changed, before, strict=True):
            tensor.copy_(value)


def _host_work(net: Net) -> str:
    """The layers that only the host can run, and why; empty where there are none."""
    found = [f"layer '{n.name}' ({n.type}) {n.layer.host_work}" for n in net.nodes if n.layer.host_work]
    return "; ".join(found)


def _compiler_errors() -> tuple[type[Exception], ...]:
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.exc import InductorError

    return TorchDynamoException, InductorError


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(error).__name__
