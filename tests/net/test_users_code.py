"""Layer classes of the user's own that go wrong while a net is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from caffe_compat import Layer, NetError, load_net, register_layer
from caffe_compat.layers import LAYERS

TEXT = 'input: "x" input_shape { dim: 2 dim: 3 } layer { name: "mine" type: "Mine" bottom: "x" top: "y" }'


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    LAYERS.pop("Mine", None)


def with_parameter() -> type[Layer]:
    class Mine(Layer):
        """y = w x"""

        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.w.reshape(1, 1).expand(2, 3)

    return Mine


def with_wrong_shape() -> type[Layer]:
    class Mine(Layer):
        """y = x A"""

        def forward(self, x: Tensor) -> Tensor:
            return x @ torch.ones(7, 7, device=x.device)

    return Mine


def with_wrong_setup() -> type[Layer]:
    class Mine(Layer):
        """y = x"""

        def setup(self, shape: tuple[int, ...]) -> None:  # type: ignore[override]
            self.size = shape[5]

    return Mine


@pytest.mark.parametrize("make", [with_parameter, with_wrong_shape, with_wrong_setup])
def test_the_error_names_layer_class_and_remedy(make: Callable[[], type[Layer]]) -> None:
    register_layer("Mine")(make())
    with pytest.raises(NetError, match=r"layer 'mine' \(Mine\), <text>:1:.* failed .*(Runtime|Index)Error: .*add_blob"):
        load_net(TEXT)


def test_a_type_needs_a_name() -> None:
    with pytest.raises(NetError, match="the type name is empty"):
        register_layer("")
