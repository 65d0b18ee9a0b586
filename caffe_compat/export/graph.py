"""The ONNX graph builder that a layer's ``lower`` is handed.

A layer calls ``g.op("Relu", x)``; node names carry the layer's name, values get the blob's. Helpers hide where
operators changed between opsets (axes as attribute or input), so that a layer says its mathematics once for all
opsets from 13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from caffe_compat.errors import CannotLower

Dims = tuple[int | None, ...]


class Value(str):
    """The name of a value in the graph. ``shape``: its static dims, None where symbolic; blobs of the net have it."""

    shape: Dims

    def __new__(cls, name: str, shape: Dims = ()) -> Value:
        value = super().__new__(cls, name)
        value.shape = shape
        return value

    @property
    def rank(self) -> int:
        return len(self.shape)

    def static(self, axis: int) -> int:
        """The size of ``axis``. Raises CannotLower where it is symbolic."""
        size = self.shape[axis]
        if size is None:
            raise CannotLower(f"needs the size of axis {axis} of blob '{self}', which changes with the batch size")
        return size


class GraphBuilder:
    """Collects nodes and initializers of one ONNX graph.

    ``opset``: the version of the default domain. ``parameter_names``: id of a torch tensor -> initializer name.
    ``reserved``: names kept free for blobs.
    """

    def __init__(self, opset: int, parameter_names: dict[int, str], reserved: Iterable[str] = ()) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.layer_name = ""
        self._parameter_names = parameter_names
        self._parameters: dict[int, str] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._names: set[str] = set(reserved)
        self._renamed: dict[str, str] = {}

    # ---- the heart

    def op(self, op_type: str, *inputs: str | None, num_outputs: int = 1, **attributes: Any) -> Any:
        """Add a node of the default domain; returns its output Value, or a tuple of ``num_outputs`` of them.

        An input of None or "" is an omitted optional input; attributes of None are left out.
        """
        name = self.unique(self._here(op_type))
        outputs = [Value(name if i == 0 else f"{name}:{i}") for i in range(num_outputs)]
        kept = {key: value for key, value in attributes.items() if value is not None}
        given = [i or "" for i in inputs]
        while given and not given[-1]:
            given.pop()
        self.nodes.append(helper.make_node(op_type, given, outputs, name=name, **kept))
        return outputs[0] if num_outputs == 1 else tuple(outputs)

    def const(self, value: Any, dtype: str = "float32") -> Value:
        """An initializer with the value of an array, list or number; equal constants are stored once."""
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, as it is in torch
            array = np.ascontiguousarray(value, dtype=dtype).reshape(np.shape(value))
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            name = self.unique(self._here("const"))
            self._constants[key] = name
            self.initializers[name] = numpy_helper.from_array(array, name)
        return Value(self._constants[key], array.shape)

    def ints(self, *values: int) -> Value:
        """A 1-D int64 constant: axes, shapes, pads."""
        return self.const(np.array(values, np.int64), "int64")

    def param(self, blob: Tensor) -> Value:
        """The initializer of a layer's parameter blob, named ``layer.blob``; a shared blob is stored once.

        Any other tensor becomes a constant. Values are float32.
        """
        array = blob.detach().cpu().float().numpy()
        if id(blob) not in self._parameter_names:
            return self.const(array)
        if id(blob) not in self._parameters:
            name = self.unique(self._parameter_names[id(blob)])
            self._parameters[id(blob)] = name
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        return Value(self._parameters[id(blob)], tuple(blob.shape))

    # ---- operators whose form depends on the opset, and shorthands

    def reduce(self, kind: str, x: str, axes: Sequence[int], keepdims: bool = True) -> Value:
        """ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceL2, ...: ``kind`` is what follows "Reduce"."""
        name = f"Reduce{kind}"
        if self.opset >= 18 or kind == "Sum":
            return self.op(name, x, self.ints(*axes), keepdims=int(keepdims))
        return self.op(name, x, axes=list(axes), keepdims=int(keepdims))

    def split(self, x: str, sizes: Sequence[int], axis: int) -> tuple[Value, ...]:
        """Split ``axis`` into parts of the given sizes."""
        if len(sizes) == 1:
            return (self.op("Identity", x),)
        return self.op("Split", x, self.ints(*sizes), axis=axis, num_outputs=len(sizes))

    def reshape(self, x: str, dims: Sequence[int]) -> Value:
        """Reshape; a dim of 0 copies the size at the same place, one dim may be -1."""
        return self.op("Reshape", x, self.ints(*dims))

    def transpose(self, x: str, order: Sequence[int]) -> Value:
        return self.op("Transpose", x, perm=list(order))

    def slice(self, x: str, axis: int, start: int, end: int) -> Value:
        """Elements start to end (exclusive) of one axis."""
        return self.op("Slice", x, self.ints(start), self.ints(end), self.ints(axis))

    def pad(self, x: str, pads: Sequence[int], value: float = 0.0) -> Value:
        """Pad with a constant; ``pads``: begins of all axes, then ends."""
        if not any(pads):
            return Value(x)
        return self.op("Pad", x, self.ints(*pads), self.const(value), mode="constant")

    def squeeze(self, x: str, *axes: int) -> Value:
        return self.op("Squeeze", x, self.ints(*axes))

    def unsqueeze(self, x: str, *axes: int) -> Value:
        return self.op("Unsqueeze", x, self.ints(*axes))

    def cast(self, x: str, dtype: str) -> Value:
        """``dtype``: float32, int64, bool."""
        return self.op("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def scaled(self, x: Value, factor: float) -> Value:
        """x * factor; x itself for a factor of 1."""
        return x if factor == 1 else self.op("Mul", x, self.const(factor))

    def shifted(self, x: Value, offset: float) -> Value:
        """x + offset; x itself for an offset of 0."""
        return x if offset == 0 else self.op("Add", x, self.const(offset))

    def scan(
        self, step: Callable[..., Iterable[str]], states: Sequence[str], sequences: Sequence[str], num_outputs: int = 1
    ) -> tuple[Value, ...]:
        """A loop over axis 0 of the sequences. Returns the last states, then the outputs, stacked.

        ``step(body, *states, *items)`` gives the next states, then the outputs of one item. It adds its nodes to
        ``body``, a builder of its own, and reads nothing but its arguments and what it makes there.
        """
        body = GraphBuilder(self.opset, self._parameter_names)
        body._names, body.layer_name = self._names, self.layer_name
        arguments = [Value(self.unique(self._here("item"))) for _ in (*states, *sequences)]
        results = [body.op("Identity", value) for value in step(body, *arguments)]
        graph = body.model(
            "step", *([tensor_info(name, None) for name in names] for names in (arguments, results))
        ).graph
        count = len(states) + num_outputs
        found = self.op("Scan", *states, *sequences, num_outputs=count, body=graph, num_scan_inputs=len(sequences))
        return found if count > 1 else (found,)

    # ---- names and the finished model

    def rename(self, value: str, blob: str) -> None:
        """Give a value that a node made its final name."""
        self._renamed[value] = blob

    def model(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """The model, with all renamings applied and only the initializers that are read."""
        for node in self.nodes:
            node.input[:] = [self._renamed.get(i, i) for i in node.input]
            node.output[:] = [self._renamed.get(o, o) for o in node.output]
        read = {name for node in self.nodes for name in node.input}
        initializers = [tensor for name, tensor in self.initializers.items() if name in read]
        graph = helper.make_graph(self.nodes, name or "net", inputs, outputs, initializers)
        opset = helper.make_opsetid("", self.opset)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="caffe_compat")
        model.ir_version = helper.find_min_ir_version_for([opset])
        return model

    def unique(self, name: str) -> str:
        """``name``, with a number behind where it is taken; it is taken from now on."""
        candidate, count = name, 0
        while candidate in self._names:
            count += 1
            candidate = f"{name}_{count}"
        self._names.add(candidate)
        return candidate

    def _here(self, name: str) -> str:
        return f"{self.layer_name}/{name}" if self.layer_name else name


def tensor_info(name: str, dims: Sequence[int | str | None] | None) -> onnx.ValueInfoProto:
    """A float32 graph input or output; ``dims`` None: of any shape."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None if dims is None else list(dims))
