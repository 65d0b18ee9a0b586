"""One or more small configurations of every layer type with bottoms, for the tests over the registry.

All dimensions are unequal. A bottom is a shape (random values, all different, none near 0) or made by one of the
functions here. The first axis is the batch, but for the bottoms named in ``fixed``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Bottom:
    """A bottom: its shape, and how its values are made from a shape."""

    shape: Shape
    values: Callable[[Shape], Tensor]
    differentiable: bool = True

    def make(self, batch: int | None = None) -> Tensor:
        """Values (float32), with another size of the first axis where ``batch`` is given."""
        return self.values(self.shape if batch is None else (batch, *self.shape[1:]))


@dataclass(frozen=True)
class Example:
    """A layer type with the text of its parameters. ``tops``: how many; ``checked``: those with a gradient."""

    type: str
    text: str
    bottoms: tuple[Bottom, ...]
    tops: int = 1
    checked: tuple[int, ...] = (0,)
    phase: str = "TRAIN"
    fixed: tuple[int, ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.type} {self.text}".strip()

    def prototxt(self, batch: int | None = None) -> str:
        """A net of Input layers b0, b1, ... and the layer ``l`` with tops t0, t1, ..."""
        inputs = [
            f'layer {{ name: "b{i}" type: "Input" top: "b{i}" input_param {{ shape {{ {_dims(bottom, size)} }} }} }}'
            for i, (bottom, size) in enumerate(zip(self.bottoms, self._sizes(batch), strict=True))
        ]
        wires = [f'bottom: "b{i}"' for i in range(len(self.bottoms))] + [f'top: "t{i}"' for i in range(self.tops)]
        layer = f'layer {{ name: "l" type: "{self.type}" {" ".join(wires)} {self.text} }}'
        return "\n".join(["force_backward: true", *inputs, layer])

    def inputs(self, batch: int | None = None) -> dict[str, Tensor]:
        return {f"b{i}": b.make(size) for i, (b, size) in enumerate(zip(self.bottoms, self._sizes(batch), strict=True))}

    def _sizes(self, batch: int | None) -> list[int | None]:
        return [None if i in self.fixed else batch for i in range(len(self.bottoms))]


def _dims(bottom: Bottom, batch: int | None) -> str:
    shape = bottom.shape if batch is None else (batch, *bottom.shape[1:])
    return " ".join(f"dim: {size}" for size in shape)


def different(shape: Shape) -> Tensor:
    """Values between -1.5 and 1.5, none equal to another or near 0: no kink is near."""
    count = torch.Size(shape).numel()
    order = torch.randperm(count, generator=torch.Generator().manual_seed(count)).float()
    return ((order - count // 2 + 0.4) * (3 / max(count, 2))).reshape(shape)


def normal(*shape: int) -> Bottom:
    return Bottom(shape, different)


def positive(*shape: int) -> Bottom:
    return Bottom(shape, lambda s: different(s).abs() + 0.2)


def probabilities(*shape: int) -> Bottom:
    return Bottom(shape, lambda s: torch.softmax(different(s), 1))


def constant(*shape: int) -> Bottom:
    """Values that get no gradient."""
    return Bottom(shape, different, False)


def labels(classes: int, *shape: int) -> Bottom:
    """Whole numbers from 0 to classes - 1."""
    return Bottom(shape, lambda s: torch.arange(torch.Size(s).numel()).remainder(classes).float().reshape(s), False)


def continuing(*shape: int) -> Bottom:
    """Sequence markers of a recurrent layer: every sequence begins at the first step."""
    return Bottom(shape, lambda s: torch.ones(s).index_fill_(0, torch.tensor([0]), 0.0), False)


def example(type_name: str, text: str, *bottoms: Bottom, **rest: object) -> Example:
    return Example(type_name, text, bottoms, **rest)  # type: ignore[arg-type]


IMAGE = normal(2, 3, 7, 6)
MATRIX = normal(4, 5)

EXAMPLES: list[Example] = [
    example("AbsVal", "", MATRIX),
    example("ArgMax", "argmax_param { top_k: 3 out_max_val: true }", IMAGE, checked=()),
    example("ArgMax", "argmax_param { axis: 1 }", IMAGE, checked=()),
    example("BNLL", "", MATRIX),
    example("BatchNorm", "", IMAGE),
    example("BatchNorm", "batch_norm_param { eps: 0.01 }", IMAGE, phase="TEST"),
    example("BatchReindex", "", normal(3, 4), labels(1, 5), fixed=(1,)),  # index 0: there in any batch
    example("Bias", "bias_param { axis: 1 num_axes: 2 }", IMAGE),
    example("Bias", "bias_param { axis: 0 }", MATRIX, normal(4)),
    example("Clip", "clip_param { min: -0.72 max: 0.91 }", MATRIX),
    example("Concat", "", normal(2, 3, 5), normal(2, 4, 5)),
    example("Concat", "concat_param { axis: -1 }", normal(2, 3, 5), normal(2, 3, 4)),
    example(  # the other version's gradient is not the derivative
        "ContrastiveLoss",
        "contrastive_loss_param { margin: 3 legacy_version: true }",
        normal(4, 3),
        positive(4, 3),
        labels(2, 4),
    ),
    example("Convolution", "convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 }", IMAGE),
    example(
        "Convolution",
        "convolution_param { num_output: 6 kernel_h: 2 kernel_w: 3 group: 3 dilation: 2 bias_term: false }",
        IMAGE,
    ),
    example("Crop", "crop_param { axis: 2 offset: 1 offset: 2 }", IMAGE, normal(2, 3, 4, 3)),
    example("Deconvolution", "convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 }", IMAGE),
    example("Deconvolution", "convolution_param { num_output: 6 kernel_h: 2 kernel_w: 4 group: 3 }", IMAGE),
    example("Dropout", "", MATRIX, phase="TEST"),
    example("ELU", "elu_param { alpha: 0.7 }", MATRIX),
    example("Eltwise", "eltwise_param { operation: SUM coeff: 0.5 coeff: -2 }", MATRIX, positive(4, 5)),
    example("Eltwise", "eltwise_param { operation: PROD }", MATRIX, positive(4, 5)),
    example("Eltwise", "eltwise_param { operation: MAX }", MATRIX, positive(4, 5)),
    example("Embed", "embed_param { num_output: 4 input_dim: 6 }", labels(6, 3, 5)),
    example("EuclideanLoss", "", normal(4, 3), positive(4, 3)),
    example("Exp", "exp_param { base: 2 scale: 0.5 shift: -1 }", MATRIX),
    example("Filter", "", normal(4, 5), labels(2, 4)),
    example("Flatten", "", IMAGE),
    example("Flatten", "flatten_param { axis: 2 }", IMAGE),
    example("HingeLoss", "hinge_loss_param { norm: L2 }", MATRIX, labels(5, 4)),
    example("Im2col", "convolution_param { kernel_size: 3 stride: 2 pad: 1 }", IMAGE),
    example("Im2col", "convolution_param { kernel_size: 2 dilation: 2 dilation: 1 }", normal(2, 3, 4, 5)),
    example("Im2col", "convolution_param { kernel_size: 2 stride: 2 }", normal(2, 1, 3, 4, 5)),
    example("InfogainLoss", "", MATRIX, labels(5, 4), constant(1, 1, 5, 5), fixed=(2,)),
    example(
        "InfogainLoss",
        "loss_weight: 1 loss_weight: 0 loss_param { ignore_label: 2 }",
        normal(2, 3, 5),
        labels(3, 2, 5),
        constant(3, 3),
        tops=2,
        fixed=(2,),
    ),
    example("InnerProduct", "inner_product_param { num_output: 3 }", IMAGE),
    example("InnerProduct", "inner_product_param { num_output: 3 axis: 2 transpose: true }", IMAGE),
    example("LRN", "lrn_param { local_size: 3 alpha: 0.6 beta: 0.7 k: 2 }", normal(2, 5, 4, 3)),
    example("LRN", "lrn_param { local_size: 3 alpha: 0.6 norm_region: WITHIN_CHANNEL }", IMAGE),
    example("LSTM", "recurrent_param { num_output: 5 }", normal(4, 2, 3), continuing(4, 2), fixed=(0, 1)),
    example(
        "LSTM",
        "recurrent_param { num_output: 5 expose_hidden: true }",
        normal(4, 2, 3),
        labels(2, 4, 2),
        normal(2, 6),
        constant(1, 2, 5),
        constant(1, 2, 5),
        tops=3,
        fixed=(0, 1, 2, 3, 4),
    ),
    example("LSTMUnit", "", normal(1, 3, 2), normal(1, 3, 8), labels(2, 1, 3), tops=2, checked=(0, 1), fixed=(0, 1, 2)),
    example("Log", "log_param { base: 10 scale: 2 shift: 0.5 }", positive(4, 5)),
    example("MVN", "", positive(2, 3, 7, 6)),  # with a larger eps the gradient is not the derivative
    example("MVN", "mvn_param { across_channels: true }", positive(2, 3, 7, 6)),
    example("MVN", "mvn_param { normalize_variance: false }", positive(2, 3, 7)),
    example("MultinomialLogisticLoss", "", probabilities(4, 5), labels(5, 4)),
    example("PReLU", "", IMAGE),
    example("PReLU", "prelu_param { channel_shared: true }", IMAGE),
    example("Pooling", "pooling_param { kernel_size: 3 stride: 2 }", IMAGE),
    example("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }", IMAGE),
    example("Pooling", "pooling_param { pool: AVE global_pooling: true }", IMAGE),
    example("Power", "power_param { power: 2 scale: 0.5 shift: 1 }", MATRIX),
    example("Power", "power_param { power: -1.5 scale: 0.5 shift: 0.3 }", positive(4, 5)),
    example("Power", "power_param { scale: 0 shift: 3 }", MATRIX, checked=()),
    example("RNN", "recurrent_param { num_output: 5 }", normal(4, 2, 3), continuing(4, 2), fixed=(0, 1)),
    example("ReLU", "relu_param { negative_slope: 0.2 }", MATRIX),
    example("Reduction", "reduction_param { operation: SUMSQ axis: 1 coeff: 0.5 }", normal(2, 3, 4)),
    example("Reduction", "reduction_param { operation: MEAN axis: -1 }", normal(2, 3, 4)),
    example("Reduction", "reduction_param { operation: ASUM axis: 1 }", normal(2, 3, 4)),
    example("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 2 } }", normal(3, 4, 5)),
    example("SPP", "spp_param { pyramid_height: 2 pool: AVE }", IMAGE),
    example("SPP", "spp_param { pyramid_height: 3 }", normal(2, 3, 7, 6)),
    example("SMSoftmaxLoss", "smsoftmax_param { margin: 0.3 }", MATRIX, labels(5, 4)),
    example(
        "SMSoftmaxLoss",
        "loss_weight: 1 loss_weight: 0 smsoftmax_param { margin: 2 } loss_param { ignore_label: 2 }",
        normal(2, 3, 5),
        labels(3, 2, 5),
        tops=2,
    ),
    example("Scale", "scale_param { axis: 1 num_axes: 2 bias_term: true }", IMAGE),
    example("Scale", "scale_param { axis: 0 }", IMAGE, normal(2, 3)),
    example("Sigmoid", "", MATRIX),
    example("SigmoidCrossEntropyLoss", "", MATRIX, labels(2, 4, 5)),
    example("SigmoidCrossEntropyLoss", "loss_param { ignore_label: 2 normalization: VALID }", MATRIX, labels(3, 4, 5)),
    example("Slice", "slice_param { slice_point: 1 slice_point: 3 }", normal(2, 6, 5), tops=3, checked=(0, 1, 2)),
    example("Softmax", "", normal(2, 3, 4)),
    example("Softmax", "softmax_param { axis: -1 }", normal(2, 3, 4)),
    example("SoftmaxWithLoss", "", MATRIX, labels(5, 4)),
    example("SoftmaxWithLoss", "loss_param { ignore_label: 2 normalization: FULL }", normal(2, 3, 5), labels(3, 2, 5)),
    example("Split", "", MATRIX, tops=2, checked=(0, 1)),
    example("Swish", "swish_param { beta: 1.5 }", MATRIX),
    example("TanH", "", MATRIX),
    example("Threshold", "threshold_param { threshold: 0.3 }", MATRIX, checked=()),
    example("Tile", "tile_param { axis: 1 tiles: 3 }", normal(2, 3, 4)),
]
