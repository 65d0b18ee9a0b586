"""MemoryData: rows that the program hands over."""

from __future__ import annotations

from caffe_compat.layers.arity import Exactly
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.source_layer import SourceLayer, check_positive


@register_layer("MemoryData")
class MemoryData(SourceLayer):
    """The next ``batch_size`` rows of arrays that the program hands over

    Tops: data (N, ``channels``, ``height``, ``width``); labels (N,).

    ``net.layer("data").source.set_input_arrays(data, labels)`` gives the rows. Refused: a size that is 0 or
    not given.
    """

    blocks = ("memory_data_param",)
    tops = Exactly(2)

    def __init__(self, batch_size: int = 0, channels: int = 0, height: int = 0, width: int = 0) -> None:
        super().__init__()
        check_positive("memory_data_param", batch_size=batch_size, channels=channels, height=height, width=width)
