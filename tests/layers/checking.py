"""Checks of one layer without a net: its gradient, its ONNX form, memory formats, refusals."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from caffe_compat.export.graph import GraphBuilder, Value, tensor_info
from caffe_compat.layers.base import Layer

OPSETS = (13, 18, min(25, onnx.defs.onnx_opset_version()))
AnyLayer = TypeVar("AnyLayer", bound=Layer)


def values(*shape: int, seed: int = 0) -> Tensor:
    """Normal values, rounded so that ties are rare but kinks (0) are never near."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed + 7 * len(shape)))
    return x + 0.05 * x.sign()


def made(layer: AnyLayer, *bottoms: Tensor, tops: int = 1, phase: str = "TRAIN", seed: int | None = 3) -> AnyLayer:
    """The layer, built for the bottoms; ``seed``: its blobs get random values (statistics: positive ones)."""
    layer.num_tops = tops
    layer.build(*(tuple(bottom.shape) for bottom in bottoms))
    layer.train(phase == "TRAIN")
    for i, blob in enumerate(layer.blobs):
        if seed is not None:
            new = values(*blob.shape, seed=seed + i)
            blob.data.copy_(new if blob.requires_grad else new.abs() + 0.5)
    return layer


def tops_of(layer: Layer, *bottoms: Tensor) -> tuple[Tensor, ...]:
    tops = layer(*bottoms)
    return tops if isinstance(tops, tuple) else (tops,)


def check_shapes(layer: Layer, *bottoms: Tensor) -> None:
    """Meta tensors give the shapes of the real run, and leave the blobs alone."""
    before = [blob.clone() for blob in layer.blobs]
    inferred = layer.top_shapes(*(tuple(bottom.shape) for bottom in bottoms))
    assert all(torch.equal(old, new) for old, new in zip(before, layer.blobs, strict=True))
    assert inferred == [tuple(top.shape) for top in tops_of(layer, *bottoms)]


def check_gradient(layer: Layer, *bottoms: Tensor) -> None:
    """Finite differences in float64, with respect to all bottoms and blobs."""
    layer.double()
    names = [name for name, _ in layer.named_parameters()]
    count = len(bottoms)

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        blobs = dict(zip(names, tensors[count:], strict=True))
        tops = torch.func.functional_call(layer, blobs, tensors[:count])
        return tops if isinstance(tops, tuple) else (tops,)

    inputs = [*bottoms, *(blob.detach() for _, blob in layer.named_parameters())]
    assert torch.autograd.gradcheck(run, [x.double().clone().requires_grad_() for x in inputs])


def check_onnx(layer: Layer, *bottoms: Tensor) -> list[str]:
    """onnxruntime agrees with forward, with a static and a symbolic first axis; the types of the nodes (last opset)."""
    with torch.no_grad():
        expected = [top.numpy() for top in tops_of(layer, *(bottom.clone() for bottom in bottoms))]
    kinds: list[str] = []
    for opset in OPSETS:
        for symbolic in (False, True):
            model, kinds = lowered(layer, bottoms, opset, symbolic, len(expected))
            for ours, theirs in zip(run_onnx(model, bottoms), expected, strict=True):
                assert ours.shape == theirs.shape
                scale = np.abs(theirs).max(initial=0)
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * scale, err_msg=f"{opset} {symbolic}")
    return kinds


def lowered(
    layer: Layer, bottoms: tuple[Tensor, ...], opset: int, symbolic: bool, tops: int
) -> tuple[onnx.ModelProto, list[str]]:
    """The model of one layer with inputs b0, b1, .. and outputs t0, t1, .."""
    g = GraphBuilder(opset, {id(blob): f"l.{name}" for name, blob in zip(layer.blob_names, layer.blobs, strict=True)})
    shapes = [(None, *bottom.shape[1:]) if symbolic and bottom.dim() else tuple(bottom.shape) for bottom in bottoms]
    found = layer.lower(g, *(Value(f"b{i}", shape) for i, shape in enumerate(shapes)))
    found = found if isinstance(found, tuple) else (found,)
    assert len(found) == tops
    kinds = [node.op_type for node in g.nodes]
    for i, value in enumerate(found):
        g.rename(g.op("Identity", value), f"t{i}")
    inputs = [
        tensor_info(f"b{i}", [f"n{i}" if size is None else size for size in shape]) for i, shape in enumerate(shapes)
    ]
    outputs = [onnx.helper.make_empty_tensor_value_info(f"t{i}") for i in range(tops)]
    for output in outputs:
        output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return g.model("l", inputs, outputs), kinds


def run_onnx(model: onnx.ModelProto, bottoms: tuple[Tensor, ...]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(None, {f"b{i}": bottom.numpy() for i, bottom in enumerate(bottoms)})
    return found


def check_channels_last(layer: Layer, *bottoms: Tensor) -> None:
    """Another memory format of the bottoms changes no value."""
    with torch.no_grad():
        expected = tops_of(layer, *bottoms)
        turned = [b.to(memory_format=torch.channels_last) if b.dim() == 4 else b for b in bottoms]
        for top, other in zip(tops_of(layer, *turned), expected, strict=True):
            torch.testing.assert_close(top, other)
