"""HDF5Output: bottoms written to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import Exactly
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.sink import write_arrays

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("HDF5Output")
class HDF5Output(Layer):
    """Writes its bottoms to the HDF5 file ``file_name``, as the data sets "data" and "label"

    Bottoms: data and label, with the same number N of rows and at most four axes. No tops; no gradient goes back.
    In the file both have four axes, as in Caffe: (N, C, H, W), (N, 1, 1, 1).

    ``file_name``: relative to the working directory. The first pass replaces the file, whole or not at all; every
    further one in TEST adds its rows. Differs from Caffe, which stops at the second pass; in TRAIN it is refused here,
    too. Refused: no file_name.
    """

    blocks = ("hdf5_output_param",)
    bottoms, tops = Exactly(2), Exactly(0)
    constant_bottoms = (0, 1)
    host_work = "writes a file"
    export_note = "writes a file; left out of the graph"
    train_note = "one pass only; say include { phase: TEST }"

    def __init__(self, file_name: str | None = None) -> None:
        super().__init__()
        if not file_name:
            raise NetError('hdf5_output_param has no file_name; name the file to write: file_name: "features.h5"')
        self.file_name = file_name
        self._begun = False

    def setup(self, *bottom_shapes: Shape) -> None:
        data, label = bottom_shapes
        if max(len(data), len(label)) > 4:
            raise NetError(f"its bottoms have the shapes {list(data)} and {list(label)}; accepted: at most 4 axes")
        if not data or not label or data[0] != label[0]:
            raise NetError(f"data has the shape {list(data)} and label {list(label)}; accepted: as many rows in both")

    def forward(self, data: Tensor, label: Tensor) -> tuple[Tensor, ...]:
        if data.is_meta:
            return ()
        if self._begun and self.training:
            raise NetError(
                f"every training iteration would write {self.file_name} anew; give the layer include {{ phase: TEST }}"
            )
        arrays = {"data": _four_axes(data), "label": _four_axes(label)}
        write_arrays("more HDF5" if self._begun else "HDF5", self.file_name, arrays)
        self._begun = True
        return ()

    def lower(self, g: GraphBuilder, *bottoms: Value) -> tuple[Value, ...]:
        return ()


def _four_axes(blob: Tensor) -> np.ndarray:
    values: np.ndarray = blob.detach().float().cpu().numpy()
    return values.reshape(*values.shape, *[1] * (4 - values.ndim))
