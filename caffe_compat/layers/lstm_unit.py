"""LSTMUnit: one step of an LSTM, after its gates' inner products; and the arithmetic that LSTM shares with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import Exactly
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("LSTMUnit")
class LSTMUnit(Layer):
    """c = cont sigmoid(f) c_prev + sigmoid(i) tanh(g),  h = sigmoid(o) tanh(c)

    Bottoms: c_prev (1, N, D); gates (1, N, 4 D): i, f, o, g, one after the other; cont (1, N): 0 where a sequence
    begins, else 1; it gets no gradient. Tops: c and h, both (1, N, D).

    No parameters. Refused: other shapes.

    Differs from torch: ``lstm_cell`` orders its gates i, f, g, o. Where cont is no whole number, the gradient at f
    has the factor F (1 - F) with F = cont sigmoid(f), which is not the derivative.
    """

    bottoms, tops = Exactly(3), Exactly(2)
    constant_bottoms = (2,)

    def setup(self, *bottom_shapes: Shape) -> None:
        self._check(bottom_shapes, bottom_shapes[0][:1])

    def _check(self, shapes: Sequence[Shape], steps: Shape = (1,)) -> None:
        cell, gates, cont = shapes
        fits = len(cell) == 3 and gates == (*cell[:2], 4 * cell[2]) and cont == cell[:2]
        if not fits or steps != (1,):
            raise NetError(
                f"the bottoms have shapes {list(cell)}, {list(gates)} and {list(cont)}; accepted: c_prev (1, N, D), "
                "gates (1, N, 4 D) and cont (1, N); give the gates' InnerProduct axis: 2 and num_output: 4 D"
            )

    def forward(self, cell: Tensor, gates: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
        self._check([tuple(bottom.shape) for bottom in (cell, gates, cont)])
        tops: tuple[Tensor, Tensor] = _Unit.apply(cell, gates, cont.detach().to(gates.dtype).unsqueeze(-1))
        return tops

    def lower(self, g: GraphBuilder, cell: Value, gates: Value, cont: Value) -> tuple[Value, Value]:
        return lower_step(g, cell, gates, g.unsqueeze(cont, 2), cell.static(2), axis=2)


def activate(gates: Tensor, cont: Tensor) -> Tensor:
    """i, f, o, g, not yet squashed, along the last axis -> I, F = cont * sigmoid(f), O, G; in place."""
    size = gates.shape[-1] // 4
    gates[..., : 3 * size].sigmoid_()
    gates[..., 3 * size :].tanh_()
    gates[..., size : 2 * size].mul_(cont)
    return gates


def slopes(acts: Tensor, previous: Tensor, squashed: Tensor) -> tuple[Tensor, Tensor]:
    """What the gradients at c and h are multiplied with to give those at the gates and, for h, at c.

    ``acts``: the four (..., 4 D) of ``activate``; ``previous``: c_prev; ``squashed``: tanh(c). Returns (..., 4, D), of
    which the row of o is for the gradient at h, and (..., D).
    """
    i, f, o, g = acts.chunk(4, -1)
    rows = (g * i * (1 - i), previous * f * (1 - f), squashed * o * (1 - o), i * (1 - g * g))
    return torch.stack(rows, -2), o * (1 - squashed * squashed)


def gate_gradient(slope: Tensor, total: Tensor, grad_h: Tensor) -> Tensor:
    """The gradient (..., 4 D) at the gates; ``total``: that at c, with what comes through h."""
    gradient = slope * total.unsqueeze(-2)
    torch.mul(slope[..., 2, :], grad_h, out=gradient[..., 2, :])
    return gradient.flatten(-2)


def lower_step(
    g: GraphBuilder, cell: Value, gates: Value, cont: Value, size: int, axis: int
) -> tuple[Value, Value]:
    """c and h in ONNX."""
    i, f, o, new = g.split(gates, [size] * 4, axis)
    forget = g.op("Mul", cont, g.op("Sigmoid", f))
    kept, added = g.op("Mul", forget, cell), g.op("Mul", g.op("Sigmoid", i), g.op("Tanh", new))
    following = g.op("Add", kept, added)
    return following, g.op("Mul", g.op("Sigmoid", o), g.op("Tanh", following))


class _Unit(torch.autograd.Function):
    """One step. Caffe's gradient at f is not the derivative where cont is a fraction."""

    @staticmethod
    def forward(ctx: Any, cell: Tensor, gates: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
        acts = activate(gates.clone(), cont)
        i, f, o, g = acts.chunk(4, -1)
        following = f * cell + i * g
        squashed = torch.tanh(following)
        ctx.save_for_backward(acts, cell, squashed)
        return following, o * squashed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_c: Tensor, grad_h: Tensor) -> tuple[Tensor, Tensor, None]:
        acts, cell, squashed = ctx.saved_tensors
        slope, through_h = slopes(acts, cell, squashed)
        total = grad_c + grad_h * through_h
        return total * acts.chunk(4, -1)[1], gate_gradient(slope, total, grad_h), None
