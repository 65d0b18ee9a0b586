"""The base of all layers: a torch module that says its bottoms, tops, blobs, its mathematics and its ONNX form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.layers.arity import Arity, Exactly, SameAsBottoms
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.limits import check_blob
from caffe_compat.proto import extend_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

Shape = tuple[int, ...]


class Layer(nn.Module):
    """One Caffe layer.

    A subclass declares ``bottoms`` and ``tops`` (how many) and ``blocks`` (the prototxt messages whose fields are
    the keywords of its constructor), makes its blobs in ``setup`` from the bottom shapes, and says its mathematics
    twice: ``forward`` in torch and ``lower`` in ONNX. In PyTorch without a prototxt:
    ``layer = Convolution(num_output=8, kernel_size=[3]).build((1, 3, 32, 32))``.
    """

    type_name: ClassVar[str] = ""
    """The type as a prototxt names it; set by ``register_layer``."""
    blocks: ClassVar[tuple[str, ...]] = ()
    bottoms: ClassVar[Arity] = Exactly(1)
    tops: ClassVar[Arity] = Exactly(1)
    is_loss: ClassVar[bool] = False
    """A loss: its first top has loss weight 1 unless the prototxt says otherwise, and exists even when not named."""
    implicit_loss_weights: ClassVar[bool] = False
    """A loss whose further tops have loss weight 0 unless the prototxt says otherwise (Caffe wants it written)."""
    constant_bottoms: ClassVar[tuple[int, ...]] = ()
    """Bottoms that get no gradient (labels); -1 is the last."""
    whole_backward: ClassVar[bool] = False
    """Its backward pass gives all of its blobs a gradient, those with ``lr_mult: 0`` too."""
    runs_inplace: ClassVar[bool] = False
    """``forward`` heeds ``self.inplace`` and may then overwrite bottom 0. (``self.overwrites`` says that the prototxt
    gives the top the bottom's name: Caffe's backward pass then finds the top in the bottom.)"""
    allows_inplace: ClassVar[bool] = True
    """The top may have its bottom's name; Caffe refuses that for layers that only change the shape."""
    saves_top: ClassVar[bool] = True
    """The backward pass reads the top's values, or the top shares memory: the next layer must not overwrite it."""
    shape_from_values: ClassVar[bool] = False
    """The first axis of the tops has a size that only values tell; ``top_shapes`` gives what Caffe assumes."""
    autocasts: ClassVar[bool] = False
    """In a training with ``--precision`` bf16 or fp16 it may see and make half precision; all others see float32."""
    host_work: ClassVar[str] = ""
    """What it does outside of the device's kernels, which torch.compile and a CUDA graph would not repeat."""
    export_note: ClassVar[str] = ""
    """Why the layer, or some configuration of it, does not export; for the table of supported layers."""
    train_note: ClassVar[str] = ""
    """What does not train, and why; for the table of supported layers."""

    def __init__(self) -> None:
        super().__init__()
        self.num_tops = 1
        self.inplace = False
        self.overwrites = False
        self._fillers: dict[str, Filler] = {}

    # ---- building

    @classmethod
    def declare_fields(cls, block: str, fields: Mapping[str, Any]) -> None:
        """Add a block of one's own to the schema's LayerParameter (see ``register_layer``)."""
        extend_layer(block, fields)
        if block not in cls.blocks:
            cls.blocks = (*cls.blocks, block)

    @classmethod
    def check_counts(cls, bottoms: int, tops: int) -> None:
        """Raise NetError when the layer does not take so many bottoms or make so many tops."""
        if not cls.bottoms.accepts(bottoms):
            raise NetError(f"takes {cls.bottoms} bottom(s), found {bottoms}")
        same = isinstance(cls.tops, SameAsBottoms)
        if not cls.tops.accepts(tops) or (same and tops != bottoms):
            raise NetError(f"makes {cls.tops} top(s), found {tops}" + (f" for {bottoms} bottom(s)" if same else ""))

    def setup(self, *bottom_shapes: Shape) -> None:
        """Check the bottom shapes and make the blobs with ``add_blob``. Raises NetError."""

    def add_blob(self, name: str, shape: Shape, filler: Filler | None = None, trained: bool = True) -> None:
        """Add a parameter blob, in Caffe's order of blobs; its values come later, from ``filler`` or a file.

        It lies on the meta device until ``materialize``. ``trained`` False: a buffer that ``forward`` itself updates.
        """
        check_blob(f"blob '{name}'", shape)
        filler = filler or Filler()
        filler.check(shape)
        blob = torch.empty(shape, dtype=torch.float32, device="meta")
        if trained:
            self.register_parameter(name, nn.Parameter(blob))
        else:
            self.register_buffer(name, blob)
        self._fillers[name] = filler

    @property
    def blob_names(self) -> list[str]:
        """Names of the parameter blobs in Caffe's order."""
        return list(self._fillers)

    @property
    def blobs(self) -> list[Tensor]:
        """The parameter blobs in Caffe's order and shape."""
        return [getattr(self, name) for name in self._fillers]

    def materialize(self, generator: torch.Generator | None = None, device: str | torch.device = "cpu") -> None:
        """Give every blob that still lies on the meta device memory and the values of its filler.

        Buffers that are no blobs go to ``device``, too.
        """
        generator = generator or torch.default_generator
        for name, filler in self._fillers.items():
            blob = getattr(self, name)
            if not blob.is_meta:
                continue
            values = torch.empty(blob.shape, dtype=blob.dtype)
            filler.fill(values, generator)
            values = values.to(device)
            if name in self._parameters:
                self._parameters[name] = nn.Parameter(values, requires_grad=blob.requires_grad)
            else:
                self._buffers[name] = values
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._fillers and not buffer.is_meta:
                self._buffers[name] = buffer.to(device)

    def build(self, *bottom_shapes: Shape) -> Layer:
        """``setup`` and ``materialize`` in one: for use without a net."""
        self.setup(*bottom_shapes)
        self.materialize()
        return self

    def top_shapes(self, *bottom_shapes: Shape) -> list[Shape]:
        """Shapes of the tops: ``forward`` is run on meta tensors, so there is no second shape rule.

        The first call in a process takes a second: nearly every operator of torch is on the meta device a Python
        function that imports torch._dynamo and sympy. (So does torch.optim: a loop by hand waits for it as well.)
        """
        tops = self.on_meta(*(torch.empty(shape, device="meta") for shape in bottom_shapes))
        return [tuple(top.shape) for top in tops]

    def on_meta(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        """``forward`` on float32 meta tensors, with the blobs there too, whatever they are and lie on now."""
        shapes = {name: getattr(self, name).shape for name in self._fillers}
        blobs = {name: torch.empty(shape, dtype=torch.float32, device="meta") for name, shape in shapes.items()}
        with torch.no_grad():
            tops = torch.func.functional_call(self, blobs, bottoms)
        return tops if isinstance(tops, tuple) else (tops,)

    # ---- mathematics

    def lower(self, g: GraphBuilder, *bottoms: Any, **optional: Any) -> Value | tuple[Value, ...]:
        """The same mathematics in ONNX, through the builder ``g``. Raises CannotLower with the reason."""
        raise CannotLower(f"layer type {self.type_name} has no ONNX form")


def canonical_axis(axis: int, shape: Shape) -> int:
    """``axis`` counted from the front; negative ones count from the end, as in Caffe. Raises NetError."""
    if not -len(shape) <= axis < len(shape):
        raise NetError(
            f"axis {axis} is out of range for a bottom of shape {list(shape)}; "
            f"accepted: {-len(shape)} to {len(shape) - 1}"
        )
    return axis % len(shape)
