"""DummyData: blobs made by fillers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.layers.arity import AtLeast, Exactly
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.input import check_dims, once_or_per_top, per_top
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("DummyData")
class DummyData(Layer):
    """Values of a filler: of a constant one filled once, of a random one anew on every pass

    Tops: any number, each of its ``shape``.

    ``shape`` (repeated), or the old ``num``, ``channels``, ``height``, ``width``: once for all tops or once per
    top. ``data_filler``: none (zeros), one for all tops, or one per top. Random values come from torch's default
    generator. Refused: other counts; shape together with the old fields.
    """

    blocks = ("dummy_data_param",)
    bottoms, tops = Exactly(0), AtLeast(1)
    export_note = "constant fillers only; random values are new on every pass"
    _place: Tensor

    def __init__(
        self,
        data_filler: list[Filler] | None = None,
        shape: list[list[int]] | None = None,
        num: list[int] | None = None,
        channels: list[int] | None = None,
        height: list[int] | None = None,
        width: list[int] | None = None,
    ) -> None:
        super().__init__()
        self.fillers = data_filler or [Filler()]
        self.shape = shape or []
        self.dims = {"num": num or [], "channels": channels or [], "height": height or [], "width": width or []}
        self.register_buffer("_place", torch.empty(0), persistent=False)  # tells the device and type of the net
        self._constant: dict[int, Tensor] = {}

    def setup(self, *bottom_shapes: Shape) -> None:
        old = any(self.dims.values())
        if old and self.shape:
            raise NetError("dummy_data_param has both shape and num/channels/height/width; accepted: one of the two")
        sizes: dict[str, list[Any]] = dict(self.dims) if old else {"shape": self.shape}
        for name, values in sizes.items():
            if len(values) not in (1, self.num_tops):
                raise NetError(once_or_per_top(f"dummy_data_param's {name}", len(values), self.num_tops))
        if len(self.fillers) not in (1, self.num_tops):
            number = len(self.fillers)
            raise NetError(once_or_per_top("dummy_data_param's data_filler", number, self.num_tops, "none, "))
        check_dims(self.shape)
        for filler, shape in zip(per_top(self.fillers, self.num_tops), self.top_shapes(), strict=True):
            filler.check(shape)

    def top_shapes(self, *bottom_shapes: Shape) -> list[Shape]:
        if self.shape:
            return per_top([tuple(shape) for shape in self.shape], self.num_tops)
        columns = [per_top(values, self.num_tops) for values in self.dims.values()]
        return list(zip(*columns, strict=True))

    def forward(self) -> tuple[Tensor, ...]:
        fillers = per_top(self.fillers, self.num_tops)
        return tuple(self._top(i, *made) for i, made in enumerate(zip(fillers, self.top_shapes(), strict=True)))

    def lower(self, g: GraphBuilder) -> Value | tuple[Value, ...]:
        if any(filler.type != "constant" for filler in self.fillers):
            raise CannotLower("its values are random and new on every pass; make it an Input layer")
        tops = tuple(g.op("Identity", g.const(top.cpu().float().numpy())) for top in self.forward())
        return tops if len(tops) > 1 else tops[0]

    def _top(self, index: int, filler: Filler, shape: Shape) -> Tensor:
        device, dtype = self._place.device, self._place.dtype
        kept = self._constant.get(index)
        if kept is not None and (kept.device, kept.dtype) == (device, dtype):
            return kept
        values = torch.empty(shape, pin_memory=device.type == "cuda")  # else the copy would wait for the GPU
        filler.fill(values, torch.default_generator)
        values = values.to(device, dtype, non_blocking=True)
        if filler.type == "constant":
            self._constant[index] = values
        return values
