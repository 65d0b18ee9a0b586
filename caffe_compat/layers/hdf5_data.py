"""HDF5Data: rows of HDF5 files."""

from __future__ import annotations

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import AtLeast
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.source_layer import SourceLayer, check_positive


@register_layer("HDF5Data")
class HDF5Data(SourceLayer):
    """The next ``batch_size`` rows of HDF5 files

    Tops: any number, each named like a data set of the files; (N, ...) with the data set's further axes.

    ``source`` (a text file that lists the HDF5 files), ``batch_size``, ``shuffle`` (files and rows; default
    false). Refused: no source, a batch size of 0, a transform_param.
    """

    blocks = ("hdf5_data_param",)
    tops = AtLeast(1)

    def __init__(self, source: str | None = None, batch_size: int = 0, shuffle: bool = False) -> None:
        super().__init__()
        if not source:
            raise NetError('hdf5_data_param has no source; name a text file that lists HDF5 files: source: "train.txt"')
        check_positive("hdf5_data_param", batch_size=batch_size)
