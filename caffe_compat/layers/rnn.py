"""RNN: the simple recurrent net over time steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.layers.arity import Between
from caffe_compat.layers.base import Shape
from caffe_compat.layers.recurrent import Recurrent, lower_hidden
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("RNN")
class RNN(Recurrent):
    """h_t = tanh(W_xh x_t + b_h + W_xh_static x_static + W_hh (cont_t h_t-1)),  y_t = tanh(W_ho h_t + b_o)

    Bottoms: x (T, N, ...), T steps of N streams; cont (T, N): 0 where a sequence begins, else 1, no gradient;
    optionally x_static (N, ...), the same for all steps; with ``expose_hidden`` h0, (1, N, D), no gradient.
    Tops: y of all steps (T, N, D), D = num_output; with ``expose_hidden`` the last h, (1, N, D), whose gradient has no
    part in the backward pass.
    Blobs: W_xh (D, inputs), b_h (D), W_xh_static (D, inputs) where there is an x_static, W_hh (D, D), W_ho (D, D),
    b_o (D).

    Parameters, states between passes, refusals: as in LSTM.

    Differs from torch: ``cont``; the output y has an inner product and a tanh of its own, and W_hh no bias.
    """

    bottoms, tops = Between(2, 4), Between(1, 2)
    states = ("h",)
    input_blobs = ("W_xh", "b_h", "W_xh_static")
    W_hh: Tensor
    W_ho: Tensor
    b_o: Tensor

    def setup(self, *bottom_shapes: Shape) -> None:
        super().setup(*bottom_shapes)
        self.add_blob("W_hh", (self.num_output, self.num_output), self.weight_filler)
        self.add_blob("W_ho", (self.num_output, self.num_output), self.weight_filler)
        self.add_blob("b_o", (self.num_output,), self.bias_filler)

    def run(self, products: Tensor, cont: Tensor, states: list[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        (hidden,) = states
        turned, steps = self.W_hh.t(), []
        for product, kept in zip(products.unbind(), cont.unbind(), strict=True):
            hidden = torch.tanh(torch.addmm(product, hidden * kept, turned))
            steps.append(hidden)
        return torch.tanh(F.linear(torch.stack(steps), self.W_ho, self.b_o)), (hidden,)

    def lower_step(self, g: GraphBuilder, states: list[Value], products: Value, cont: Value) -> Sequence[Value]:
        return (g.op("Tanh", lower_hidden(g, states[0], cont, self.W_hh, products)),)

    def lower_top(self, g: GraphBuilder, hidden: Value) -> Value:
        output = g.op("MatMul", hidden, g.transpose(g.param(self.W_ho), (1, 0)))
        return g.op("Tanh", g.op("Add", output, g.param(self.b_o)))
