"""Input, layers with a source, DummyData."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from caffe_compat.api import load_net
from caffe_compat.errors import NetError
from caffe_compat.layers import Data, DummyData, HDF5Data, Input, MemoryData
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.source import Source
from tests.layers.single import refused


class Counting(Source):
    """Batch n holds n."""

    def __init__(self) -> None:
        self.top_shapes = [(2, 3), (2,)]
        self._position = 0

    def next(self) -> tuple[Tensor, ...]:
        self._position += 1
        return torch.full((2, 3), float(self.position - 1)), torch.zeros(2)

    @property
    def position(self) -> int:
        return self._position

    def seek(self, batches: int) -> None:
        self._position = batches

    def close(self) -> None:
        """Nothing is open."""


def test_source_layer_gives_the_next_batch() -> None:
    layer = Data(source="db", batch_size=2)
    layer.source, layer.num_tops = Counting(), 1
    assert layer.top_shapes() == [(2, 3)]
    assert [layer()[0][0, 0].item() for _ in range(3)] == [0, 1, 2]
    layer.source.seek(7)
    layer.num_tops = 2
    data, labels = layer()
    assert data[0, 0] == 7
    assert labels.shape == (2,)


def test_source_layer_without_a_source_says_so() -> None:
    with pytest.raises(NetError, match="a Data layer needs a source of batches, and has none; build the net with load"):
        Data(source="db", batch_size=2)()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Data(batch_size=2), "data_param has no source; give it the folder of a data base"),
        (lambda: Data(source="db"), "data_param gives no batch_size; accepted: a whole number from 1 on"),
        (lambda: Data(source="db", batch_size=2, mean_file="m", mean_value=[1.0]), "both mean_file and mean_value"),
        (lambda: HDF5Data(batch_size=2), "hdf5_data_param has no source; name a text file"),
        (lambda: HDF5Data(source="list"), "hdf5_data_param gives no batch_size"),
        (lambda: MemoryData(batch_size=2, height=4), "memory_data_param gives no channels, width; accepted"),
    ],
)
def test_data_layers_refuse(make: object, message: str) -> None:
    refused(message, make)


def tops(layer: Input | DummyData, count: int) -> list[tuple[int, ...]]:
    layer.num_tops = count
    layer.setup()
    return layer.top_shapes()


def test_input_shapes() -> None:
    assert tops(Input(), 2) == [(), ()]
    assert tops(Input([[2, 3]]), 2) == [(2, 3), (2, 3)]
    assert tops(Input([[2, 3], [4]]), 2) == [(2, 3), (4,)]
    refused("shape is given 2 time(s) for 3 top(s); accepted: none at all, once", lambda: Input([[2], [3]]), num_tops=3)
    refused("shape [2, -1] has a negative dim", lambda: Input([[2, -1]]))
    with pytest.raises(NetError, match="given by the caller"):
        Input([[2]])()


def test_sizes_that_are_too_large_before_a_zero_are_refused() -> None:
    """Caffe counts from the first axis on, and a 0 comes too late there."""
    text = 'layer { name: "i" type: "Input" top: "x" input_param { shape { %s } } }'
    with pytest.raises(NetError, match=r"shape \[65536, 65536, 0\] would have 4294967296 elements; accepted: at most"):
        load_net(text % "dim: 65536 dim: 65536 dim: 0")
    assert load_net(text % "dim: 0 dim: 65536 dim: 65536").shapes == {"x": (0, 65536, 65536)}


def test_image_data_has_two_tops() -> None:
    with pytest.raises(NetError, match=r"makes exactly 2 top\(s\), found 1"):
        load_net('layer { name: "d" type: "ImageData" top: "data" image_data_param { source: "list.txt" } }')


def test_dummy_data_shapes() -> None:
    assert tops(DummyData(shape=[[2, 3], [4]]), 2) == [(2, 3), (4,)]
    assert tops(DummyData(num=[2, 5], channels=[3], height=[1], width=[4]), 2) == [(2, 3, 1, 4), (5, 3, 1, 4)]


def test_dummy_data_keeps_constants_and_draws_anew() -> None:
    layer = DummyData(shape=[[2, 3]], data_filler=[Filler(value=1.5), Filler("uniform", min=2, max=3)])
    layer.num_tops = 2
    layer.build()
    first, second = layer(), layer()
    assert (first[0] == 1.5).all()
    assert first[0] is second[0]
    assert first[1].min() >= 2
    assert first[1].max() <= 3
    assert not torch.equal(first[1], second[1])
    torch.manual_seed(3)
    drawn = layer()[1]
    torch.manual_seed(3)
    assert torch.equal(layer()[1], drawn)
    assert not layer.state_dict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "shape is given 0 time(s) for 3 top(s); accepted: once or 3, one per top"),
        ({"shape": [[2], [3]]}, "shape is given 2 time(s) for 3 top(s)"),
        ({"shape": [[2]], "num": [2]}, "has both shape and num/channels/height/width"),
        ({"num": [2], "channels": [3], "height": [1]}, "width is given 0 time(s)"),
        ({"shape": [[2]], "data_filler": [Filler()] * 2}, "data_filler is given 2 time(s) for 3 top(s); accepted: "),
        ({"shape": [[2]], "data_filler": [Filler("normal")]}, "unknown filler 'normal'"),
    ],
)
def test_dummy_data_refuses(arguments: dict[str, object], message: str) -> None:
    refused(message, lambda: DummyData(**arguments), num_tops=3)
