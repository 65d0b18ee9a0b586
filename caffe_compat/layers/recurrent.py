"""What LSTM and RNN share: their bottoms and tops, the blobs at their input, and the state between passes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch.nn.functional as F
from torch import Tensor

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.limits import check_not_empty
from caffe_compat.layers.windows import check_size

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


class Recurrent(Layer):
    """A layer that runs over T time steps of N streams.

    A subclass says its ``states`` (short names), ``gates`` (how many inner products of num_output), the
    names of its blobs, and ``run``: from the inner products with the input to the top and the last states.

    The last states of a pass, as buffers ``last_h``, ..., are where the next one begins; ``reset()`` makes that
    zeros again. They are no blobs of Caffe's and not in ``state_dict``; ``net.to(device)`` takes them along, and a
    solver's snapshot holds them.
    """

    blocks = ("recurrent_param",)
    constant_bottoms = (1,)
    whole_backward = True  # it runs a net of its own, whose blobs are all learned
    host_work = "carries its state from pass to pass"
    export_note = (
        "the exported graph begins each run with states of zero, where cont does not say so either: it has no memory "
        "of the run before; use expose_hidden for states that go in and come out"
    )
    states: ClassVar[tuple[str, ...]] = ()
    gates: ClassVar[int] = 1
    input_blobs: ClassVar[tuple[str, str, str]] = ("W_xc", "b_c", "W_xc_static")

    def __init__(
        self,
        num_output: int = 0,
        weight_filler: Filler | None = None,
        bias_filler: Filler | None = None,
        debug_info: bool = False,
        expose_hidden: bool = False,
    ) -> None:
        super().__init__()
        self.num_output = check_size("num_output", num_output, 1)
        self.weight_filler, self.bias_filler = weight_filler, bias_filler
        self.debug_info, self.expose_hidden = debug_info, expose_hidden
        self.has_static = False
        for name in self.states:
            self.register_buffer(f"last_{name}", None, persistent=False)

    # ---- building

    def setup(self, *bottom_shapes: Shape) -> None:
        exposed = len(self.states) * self.expose_hidden
        self._check_counts(len(bottom_shapes), exposed)
        self.has_static = len(bottom_shapes) > 2 + exposed
        self._check_shapes(bottom_shapes)
        check_not_empty(bottom_shapes[0], slice(1, 2))
        weight, bias, static = self.input_blobs
        rows = self.gates * self.num_output
        self.add_blob(weight, (rows, math.prod(bottom_shapes[0][2:])), self.weight_filler)
        self.add_blob(bias, (rows,), self.bias_filler)
        if self.has_static:
            self.add_blob(static, (rows, math.prod(bottom_shapes[2][1:])), self.weight_filler)

    def _check_counts(self, bottoms: int, exposed: int) -> None:
        least = 2 + exposed
        hidden = ", ".join(f"{name}0" for name in self.states) if exposed else "none of the states"
        if bottoms not in (least, least + 1):
            raise NetError(
                f"takes {least} bottoms, or {least + 1} with a static input, found {bottoms}; accepted with "
                f"expose_hidden: {str(self.expose_hidden).lower()}: x, cont, an optional x_static, and {hidden}"
            )
        if self.num_tops != 1 + exposed:
            raise NetError(
                f"makes {1 + exposed} top(s) with expose_hidden: {str(self.expose_hidden).lower()}, "
                f"found {self.num_tops}"
            )

    def _check_shapes(self, shapes: Sequence[Shape]) -> None:
        x, cont = shapes[:2]
        if len(x) < 3 or x[0] < 1 or math.prod(x[2:]) == 0:
            raise NetError(
                f"x has shape {list(x)}; accepted: (T, N, ...), at least one step T, and one value or more for each "
                "of the N streams: three axes or more"
            )
        if cont != x[:2]:
            raise NetError(f"cont has shape {list(cont)}; accepted: {list(x[:2])}, the steps and streams of x")
        if self.has_static and (len(shapes[2]) < 2 or shapes[2][0] != x[1] or math.prod(shapes[2]) == 0 < x[1]):
            raise NetError(f"x_static has shape {list(shapes[2])}; accepted: ({x[1]}, ...), a row for each stream of x")
        for name, shape in zip(self.states, shapes[2 + self.has_static :], strict=False):
            if shape != (1, x[1], self.num_output):
                raise NetError(f"{name}0 has shape {list(shape)}; accepted: {[1, x[1], self.num_output]}")

    # ---- mathematics

    def forward(self, x: Tensor, cont: Tensor, *rest: Tensor) -> Tensor | tuple[Tensor, ...]:
        self._check_shapes([tuple(bottom.shape) for bottom in (x, cont, *rest)])
        cont = cont.detach().to(x.dtype).unsqueeze(-1)
        if self.expose_hidden:
            given = [state.detach().squeeze(0) for state in rest[self.has_static :]]
            top, last = self._run(x, cont, rest, given)
            return top, *(state.detach().unsqueeze(0) for state in last)
        top, last = self._run(x, cont, rest, [self._carried(name, x) for name in self.states])
        for name, state in zip(self.states, last, strict=True):
            if not state.is_meta:  # inferring shapes leaves the state alone
                setattr(self, f"last_{name}", state.detach().clone())
        return top

    def _run(
        self, x: Tensor, cont: Tensor, rest: Sequence[Tensor], states: list[Tensor]
    ) -> tuple[Tensor, Sequence[Tensor]]:
        if (done := self.run_at_once(x.flatten(2), cont, states)) is not None:
            return done
        weight, bias, static = self.input_blobs
        products = self._product(x.flatten(2), weight, bias)
        if self.has_static:
            products = products + self._product(rest[0].flatten(1), static)
        return self.run(products, cont, states)

    def run_at_once(self, x: Tensor, cont: Tensor, states: list[Tensor]) -> tuple[Tensor, Sequence[Tensor]] | None:
        """What ``run`` returns, by a faster way from the input (T, N, inputs); None where there is none."""
        return None

    def _product(self, x: Tensor, weight: str, bias: str | None = None) -> Tensor:
        matrix = getattr(self, weight)
        if x.shape[-1] != matrix.shape[1]:
            raise NetError(f"{weight} takes {matrix.shape[1]} inputs for each stream, the bottom has {x.shape[-1]}")
        return F.linear(x, matrix, getattr(self, bias) if bias else None)

    def run(self, products: Tensor, cont: Tensor, states: list[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        """The top (T, N, num_output) and the last states (N, num_output).

        ``products``: (T, N, gates * num_output), of the input with its weights, biases added; ``cont``: (T, N, 1).
        """
        raise NotImplementedError

    def _carried(self, name: str, x: Tensor) -> Tensor:
        """The state that the last pass left for as many streams; zeros where there is none."""
        last: Tensor | None = getattr(self, f"last_{name}")
        streams = x.shape[1]
        if last is None or x.is_meta or len(last) < streams:
            return x.new_zeros(streams, self.num_output)
        return last[:streams].to(x, copy=True)

    @property
    def memory(self) -> dict[str, Tensor]:
        """The states that the last pass left, by name, (N, num_output); none before the first one."""
        last = {name: getattr(self, f"last_{name}") for name in self.states}
        return {name: state for name, state in last.items() if state is not None}

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """The next pass begins where the one did end that left ``memory``."""
        for name in self.states:
            setattr(self, f"last_{name}", memory.get(name))

    def reset(self) -> None:
        """The next pass begins with states of zero, as the first one did (Caffe: RecurrentLayer::Reset)."""
        self.remember({})

    # ---- ONNX

    def lower(self, g: GraphBuilder, x: Value, cont: Value, *rest: Value) -> Value | tuple[Value, ...]:
        weight, bias, static = self.input_blobs
        products = g.op("Add", self._lower_product(g, x, weight, 2), g.param(getattr(self, bias)))
        if self.has_static:
            products = g.op("Add", products, self._lower_product(g, rest[0], static, 1))
        if self.expose_hidden:
            states = [g.squeeze(state, 0) for state in rest[self.has_static :]]
        else:
            states = [self._lower_zeros(g, x)] * len(self.states)
        last, hidden = self._lower_loop(g, states, products, g.unsqueeze(cont, 2), x.shape[0])
        top = self.lower_top(g, hidden)
        return (top, *(g.unsqueeze(state, 0) for state in last)) if self.expose_hidden else top

    def _lower_product(self, g: GraphBuilder, x: Value, weight: str, axis: int) -> Value:
        matrix = getattr(self, weight)
        if None in x.shape[axis:]:
            raise CannotLower(f"the weights fix the sizes of '{x}' from axis {axis} on; one is symbolic, so fix it")
        rows = g.reshape(x, [0] * axis + [matrix.shape[1]]) if x.rank > axis + 1 else x
        return g.op("MatMul", rows, g.transpose(g.param(matrix), (1, 0)))

    def _lower_zeros(self, g: GraphBuilder, x: Value) -> Value:
        if x.shape[1] is not None:
            return g.op("Expand", g.const(0.0), g.ints(x.shape[1], self.num_output))
        streams = g.slice(g.op("Shape", x), 0, 1, 2)
        return g.op("Expand", g.const(0.0), g.op("Concat", streams, g.ints(self.num_output), axis=0))

    def _lower_loop(
        self, g: GraphBuilder, states: list[Value], products: Value, cont: Value, steps: int | None
    ) -> tuple[Sequence[Value], Value]:
        """The last states, and h of all steps. A single step needs no loop."""
        if steps != 1:
            *last, hidden = g.scan(self._step, states, [products, cont])
            return last, hidden
        *last, hidden = self._step(g, *states, g.squeeze(products, 0), g.squeeze(cont, 0))
        return last, g.unsqueeze(hidden, 0)

    def _step(self, g: GraphBuilder, *values: Value) -> Sequence[Value]:
        *states, products, cont = values
        following = self.lower_step(g, states, products, cont)
        return [*following, following[0]]

    def lower_step(self, g: GraphBuilder, states: list[Value], products: Value, cont: Value) -> Sequence[Value]:
        """The states after one step, h first; all (N, ...)."""
        raise NotImplementedError

    def lower_top(self, g: GraphBuilder, hidden: Value) -> Value:
        return hidden


def lower_hidden(g: GraphBuilder, hidden: Value, cont: Value, weight: Tensor, products: Value) -> Value:
    """products + (cont * hidden) weight^T."""
    return g.op("Gemm", g.op("Mul", hidden, cont), g.param(weight), products, transB=1)
