"""MemoryData: arrays of the user's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.data.memory import MemorySource
from caffe_compat.errors import CaffeCompatError, DataError
from tests.data.making import layer, open_layer

TEXT = 'type: "MemoryData" top: "x" top: "y" memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }'
DATA = np.random.default_rng(0).normal(size=(6, 3, 4, 5))
LABELS = np.arange(6)


@pytest.fixture
def source() -> MemorySource:
    opened = open_layer(layer(TEXT))
    assert isinstance(opened, MemorySource)
    return opened


@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_rows_in_order_around_and_around(source: MemorySource, convert: Any) -> None:
    assert source.top_shapes == [(2, 3, 4, 5), (2,)]
    source.set_input_arrays(convert(DATA), convert(LABELS))
    for number in (0, 1, 2, 0, 1):
        data, labels = source.next()
        assert data.dtype == labels.dtype == torch.float32
        np.testing.assert_array_equal(data, DATA[2 * number : 2 * number + 2].astype(np.float32))
        assert labels.tolist() == [2 * number, 2 * number + 1]
    assert source.position == 5
    source.seek(4)
    assert source.next()[1].tolist() == [2, 3]


def test_batches_are_the_callers_own(source: MemorySource) -> None:
    data = DATA.astype(np.float32)
    source.set_input_arrays(data, LABELS.reshape(6, 1, 1, 1))
    source.next()[0].zero_()
    np.testing.assert_array_equal(data, DATA.astype(np.float32))


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        (DATA[:5], LABELS[:5], "5 rows were given: accepted are multiples of the batch_size 2"),
        (DATA[:0], LABELS[:0], "0 rows"),
        (DATA[:, :2], LABELS, r"\(6, 2, 4, 5\), but memory_data_param asks for \(N, 3, 4, 5\)"),
        (DATA, LABELS[:4], "one label for each of the 6 rows"),
    ],
)
def test_arrays_that_do_not_fit(source: MemorySource, data: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        source.set_input_arrays(data, labels)


def test_without_arrays(source: MemorySource) -> None:
    with pytest.raises(DataError, match="set_input_arrays"):
        source.next()


@pytest.mark.parametrize(
    ("text", "message"),
    [(TEXT.replace("height: 4", ""), "height is 0"), (TEXT.replace('top: "y"', ""), "1 tops: it takes 2")],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(CaffeCompatError, match=message):
        open_layer(layer(text))


def test_transform_param_is_told_to_have_no_effect() -> None:
    with pytest.warns(UserWarning, match="does not apply transform_param"):
        open_layer(layer(TEXT + " transform_param { scale: 2 }"))


def test_size(source: MemorySource) -> None:
    assert source.size is None
    source.set_input_arrays(DATA, LABELS)
    assert source.size == 6
    source.close()
    source.close()
    with pytest.raises(DataError, match="set_input_arrays"):
        source.next()
