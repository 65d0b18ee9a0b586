"""Which shapes Caffe's blobs can have."""

from __future__ import annotations

import pytest

from caffe_compat.api import load_net
from caffe_compat.errors import NetError
from caffe_compat.layers.limits import check_blob

Shape = tuple[int, ...]


@pytest.mark.parametrize(
    "shape", [(), (0,), (2**31 - 1,), (65536, 32767), (70000, 0, 70000), (0, 2**31 - 1, 9), (1,) * 32]
)
def test_accepted(shape: Shape) -> None:
    check_blob("the top", shape)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2**31,), "would have 2147483648 elements; accepted: at most 2147483647"),
        ((65536, 32768), "would have 2147483648 elements"),
        ((70000, 70000, 0), "would have 4900000000 elements"),  # Caffe multiplies from the front
        ((3, -1), "accepted: dims from 0 on"),
        ((1,) * 33, "would have 33 axes; accepted: at most 32"),
    ],
)
def test_refused(shape: Shape, message: str) -> None:
    with pytest.raises(NetError) as caught:
        check_blob("the top", shape)
    assert message in str(caught.value)


def test_an_input_is_refused_before_it_has_memory() -> None:
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 70000 dim: 70000 dim: 0 } } }\n'
    with pytest.raises(NetError, match=r"layer 'x' \(Input\).*4900000000 elements"):
        load_net(text)
