"""LSTM: long short-term memory over time steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffe_compat.layers.arity import Between
from caffe_compat.layers.base import Shape
from caffe_compat.layers.lstm_unit import activate, gate_gradient, lower_step, slopes
from caffe_compat.layers.recurrent import Recurrent, lower_hidden
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("LSTM")
class LSTM(Recurrent):
    """(i, f, o, g)_t = W_xc x_t + b_c + W_xc_static x_static + W_hc (cont_t h_t-1)

    c_t = cont_t sigmoid(f) c_t-1 + sigmoid(i) tanh(g),  h_t = sigmoid(o) tanh(c_t). From Donahue et al.: Long-term
    Recurrent Convolutional Networks for Visual Recognition and Description, CVPR 2015.

    Bottoms: x (T, N, ...), T steps of N streams; cont (T, N): 0 where a sequence begins, else 1, no gradient;
    optionally x_static (N, ...), the same for all steps; with ``expose_hidden`` h0 and c0, (1, N, D), no gradient.
    Tops: h of all steps (T, N, D), D = num_output; with ``expose_hidden`` the last h and c, (1, N, D), whose
    gradients have no part in the backward pass.
    Blobs: W_xc (4 D, inputs), b_c (4 D), W_xc_static (4 D, inputs) where there is an x_static, W_hc (4 D, D).

    recurrent_param: ``num_output`` (required), ``weight_filler`` and ``bias_filler`` (constant 0), ``expose_hidden``
    (default false), ``debug_info`` (no effect). Without expose_hidden a pass, in TEST too, begins with the states
    that the pass before left, unless cont is 0 at its first step; no gradient goes back there. ``reset()`` makes
    them 0. A pass with fewer streams takes the first ones' states, one with more begins with 0.
    Refused: num_output below 1, x with fewer than three axes, a net built without streams, another count of
    bottoms or tops, other shapes.

    Differs from torch: gates are ordered i, f, o, g (torch: i, f, g, o), there is one bias, and ``cont``. torch's
    fused LSTM cannot begin a sequence in the middle, and whether it must is known from cont's values alone. On a CPU
    they are looked at, and it is used where all sequences begin at the first step (and without x_static); elsewhere
    all steps' inputs are one matrix product, and a loop over T does the rest. The gradient at f: see LSTMUnit. Differs
    from Caffe: T may change from pass to pass.
    """

    bottoms, tops = Between(2, 5), Between(1, 3)
    states, gates = ("h", "c"), 4
    W_xc: Tensor
    b_c: Tensor
    W_hc: Tensor

    def setup(self, *bottom_shapes: Shape) -> None:
        super().setup(*bottom_shapes)
        self.add_blob("W_hc", (4 * self.num_output, self.num_output), self.weight_filler)

    def run(self, products: Tensor, cont: Tensor, states: list[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        top, cell = _Steps.apply(products, self.W_hc, cont, *states)
        return top, (top[-1], cell)

    def run_at_once(self, x: Tensor, cont: Tensor, states: list[Tensor]) -> tuple[Tensor, Sequence[Tensor]] | None:
        """By torch's LSTM, on a CPU, where no sequence begins after the first step (a GPU would have to be asked)."""
        plain = x.device.type == "cpu" and x.dtype == self.W_hc.dtype == torch.float32 and not self.has_static
        if not plain or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
            return None
        if not (cont[1:] == 1).all() or not ((cont[0] == 0) | (cont[0] == 1)).all():
            return None
        if x.shape[-1] != self.W_xc.shape[1]:
            return None  # which ``run``'s way refuses
        weights = [_torch_gates(blob) for blob in (self.W_xc, self.W_hc, self.b_c)]
        before = [(state * cont[0]).unsqueeze(0) for state in states]
        train = torch.is_grad_enabled()
        top, *last = torch.lstm(x, before, [*weights, torch.zeros_like(self.b_c)], True, 1, 0.0, train, False, False)
        return top, [state.squeeze(0) for state in last]

    def lower_step(self, g: GraphBuilder, states: list[Value], products: Value, cont: Value) -> Sequence[Value]:
        hidden, cell = states
        gates = lower_hidden(g, hidden, cont, self.W_hc, products)
        return lower_step(g, cell, gates, cont, self.num_output, axis=1)[::-1]


def _torch_gates(blob: Tensor) -> Tensor:
    """Caffe's rows i, f, o, g in torch's order i, f, g, o."""
    i, f, o, g = blob.chunk(4)
    return torch.cat((i, f, g, o))


class _Steps(torch.autograd.Function):
    """All steps of an LSTM: h (T, N, D), and the last c (N, D), without a gradient.

    The gradients of all steps but the recurrence itself are taken at once, among them that of the weights: one
    matrix product. Caffe's gradient at f is not the derivative where cont is a fraction (see LSTMUnit).
    """

    @staticmethod
    def forward(
        ctx: Any, products: Tensor, weight: Tensor, cont: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        steps, streams, size = *products.shape[:2], weight.shape[1]
        acts = torch.empty_like(products)
        cells, top = products.new_empty(steps + 1, streams, size), products.new_empty(steps, streams, size)
        cells[0], first, turned = cell, hidden, weight.t()
        for t in range(steps):
            gates = torch.addmm(products[t], hidden * cont[t], turned, out=acts[t])
            i, f, o, g = activate(gates, cont[t]).chunk(4, -1)
            cell = torch.addcmul(f * cell, i, g, out=cells[t + 1])
            hidden = torch.mul(o, torch.tanh(cell), out=top[t])
        ctx.save_for_backward(weight, cont, first, acts, cells, top)
        last = cells[-1].clone()
        ctx.mark_non_differentiable(last)
        return top, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_top: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        weight, cont, first, acts, cells, top = ctx.saved_tensors
        size = weight.shape[1]
        slope, through_h = slopes(acts, cells[:-1], torch.tanh(cells[1:]))
        forget, gradient = acts[..., size : 2 * size], torch.empty_like(acts)
        grad_h, grad_c = grad_top[-1], torch.zeros_like(first)
        for t in range(len(top) - 1, -1, -1):
            total = torch.addcmul(grad_c, grad_h, through_h[t])
            gradient[t] = gate_gradient(slope[t], total, grad_h)
            if t:
                grad_h = torch.addcmul(grad_top[t - 1], gradient[t] @ weight, cont[t])
                grad_c = total * forget[t]
        before = torch.cat([first.unsqueeze(0), top[:-1]]) * cont
        grad_weight = gradient.flatten(0, 1).t() @ before.flatten(0, 1)
        return gradient, grad_weight, None, None, None
