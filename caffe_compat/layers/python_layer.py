"""Python: a layer that is a class of the user's own, in pycaffe's manner. It runs only where the user allows it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.layers.arity import AtLeast
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.python_blobs import PythonBlob, PythonBlobs, PythonLayerBase, call
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

_ALLOWED: set[str] = set()


def allow_python(*modules: str) -> None:
    """From now on, in this process, Python layers may import these modules and run the classes in them.

    Names are those that prototxt files give as ``module``; a package does not allow the modules in it.
    """
    _ALLOWED.update(modules)


@register_layer("Python")
class Python(Layer):
    """tops = whatever ``forward(bottom, top)`` of a class of yours computes; the gradient is what its ``backward`` says

    Bottoms and tops: any number. The class, in pycaffe's manner, has ``setup(bottom, top)``, run once;
    ``reshape(bottom, top)``, before each pass, which gives the tops their shapes with ``top[0].reshape(2, 3)``;
    ``forward(bottom, top)``; and ``backward(top, propagate_down, bottom)``, where a gradient is wanted. A blob has
    ``data``, ``diff`` (numpy arrays to write into), ``shape``, ``count``, ``num``, ``channels``, ``height``,
    ``width``, ``reshape``. The object has ``param_str``, ``phase`` (0 TRAIN, 1 TEST) and ``blobs``;
    ``self.blobs.add_blob(3, 4)`` in setup adds a parameter blob, zeros or what setup writes into its ``data``, and
    backward adds to its ``diff``. ``import caffe`` finds ``caffe.Layer``, also where no Caffe is installed. A loss is
    a layer with ``loss_weight`` on its top.

    python_param: ``module`` and ``layer`` (required): the class; ``param_str`` (default ""); ``share_in_parallel`` (no
    effect). The code runs only after ``allow_python("module")``, or with ``--allow-python module``; nothing is
    imported before. Refused: a module that is not allowed or not found, a class that is not there or lacks a method;
    an error that the class raises becomes a NetError with its line.

    Differs from torch: arrays, on the CPU; on a GPU each pass copies bottoms, tops and blobs. float64 nets hand over
    float64 arrays, all others float32. Differs from Caffe: tops are zeros before each forward pass; bottom diffs are
    zeros before backward, which Caffe leaves as they were.
    """

    blocks = ("python_param",)
    bottoms, tops = AtLeast(0), AtLeast(0)
    export_note = "code of your own has no ONNX form"
    host_work = "runs Python code of your own"
    place: Tensor

    def __init__(
        self, module: str = "", layer: str = "", param_str: str = "", share_in_parallel: bool = False
    ) -> None:
        super().__init__()
        if not module or not layer:
            raise NetError('python_param needs the class to run: module: "file_without_py" layer: "ClassName"')
        if module not in _ALLOWED:
            raise NetError(
                f"would run your code, class '{layer}' of the Python module '{module}', which is not allowed; if you "
                f'trust it, call caffe_compat.layers.python_layer.allow_python("{module}") first, or give the command '
                f"--allow-python {module}"
            )
        self.path, self.param_str, self.share_in_parallel = f"{module}.{layer}", param_str, share_in_parallel
        self.user = self._made(module, layer)
        self.bottom: list[PythonBlob] = []
        self.top: list[PythonBlob] = []
        self.register_buffer("place", torch.empty(0), persistent=False)  # says on which device the tops belong

    def _made(self, module: str, layer: str) -> Any:
        """An object of the user's class."""
        try:
            found = call(f"importing the Python module '{module}'", importlib.import_module, module)
        except NetError as error:
            cause = error.__cause__
            if not (isinstance(cause, ModuleNotFoundError) and f"{module}.".startswith(f"{cause.name}.")):
                raise
            raise NetError(f"Python module '{module}' is not found; put its folder into PYTHONPATH") from error
        cls = getattr(found, layer, None)
        if not isinstance(cls, type):
            names = ", ".join(name for name, value in vars(found).items() if isinstance(value, type)) or "none"
            raise NetError(f"Python module '{module}' has no class '{layer}'; its classes: {names}")
        lacking = [name for name in ("setup", "reshape", "forward") if not callable(getattr(cls, name, None))]
        if lacking:
            raise NetError(f"class '{layer}' of '{module}' lacks {', '.join(lacking)}(self, bottom, top)")
        arguments = [None] if issubclass(cls, PythonLayerBase) else []
        user = call(f"{self.path}.__init__", cls, *arguments)
        user.blobs, user.param_str, user.param_str_ = PythonBlobs(), self.param_str, self.param_str
        return user

    def _call(self, method: str, *arguments: Any) -> None:
        self.user.phase = int(not self.training)
        if not callable(getattr(self.user, method, None)):
            raise NetError(f"{self.path} lacks {method}, which this net needs for its gradient")
        call(f"{self.path}.{method}", getattr(self.user, method), *arguments)

    # ---- building

    def setup(self, *bottom_shapes: Shape) -> None:
        self.bottom = [PythonBlob(shape) for shape in bottom_shapes]
        self.top = [PythonBlob() for _ in range(self.num_tops)]
        self._call("setup", self.bottom, self.top)
        for i, blob in enumerate(self.user.blobs):
            self.add_blob(f"blob{i}", blob.shape)

    def top_shapes(self, *bottom_shapes: Shape) -> list[Shape]:
        """From the class's ``reshape``, with bottoms of zeros."""
        self._feed([PythonBlob(shape) for shape in bottom_shapes], [])
        return [blob.shape for blob in self.top]

    def materialize(self, generator: torch.Generator | None = None, device: str | torch.device = "cpu") -> None:
        """Blobs get the values that the class's ``setup`` gave them."""
        fresh = [i for i, blob in enumerate(self.blobs) if blob.is_meta]
        super().materialize(generator, device)
        for i in fresh:
            self.blobs[i].data.copy_(torch.from_numpy(self.user.blobs[i].data))

    # ---- mathematics

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        if any(bottom.is_meta for bottom in bottoms):
            return tuple(torch.empty(shape, device="meta") for shape in self.top_shapes(*(b.shape for b in bottoms)))
        if not self.top:
            return self.compute(bottoms, self.blobs)
        tops: tuple[Tensor, ...] = _Run.apply(self, len(bottoms), *bottoms, *self.blobs)
        return tops

    def compute(self, bottoms: Sequence[Tensor], blobs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """``reshape`` and ``forward`` of the class."""
        self._feed([_blob(bottom) for bottom in bottoms], blobs)
        self._call("forward", self.bottom, self.top)
        for blob, mine in zip(blobs, self.user.blobs, strict=True):
            if blob.device.type != "cpu" or blob.dtype not in (torch.float32, torch.float64):
                blob.data.copy_(torch.from_numpy(mine.data))  # the class may have written to it
        like = [*bottoms, *blobs, self.place][0]
        dtype = like.dtype if like.is_floating_point() else torch.float32
        return tuple(torch.from_numpy(top.data).to(like.device, dtype) for top in self.top)

    def _feed(self, bottoms: Sequence[PythonBlob], blobs: Sequence[Tensor]) -> None:
        """Put values into the blobs that the class holds, clear the tops, and let it reshape them."""
        for mine, given in zip(self.bottom, bottoms, strict=True):
            mine.put(given.data)
        for mine, blob in zip(self.user.blobs, blobs, strict=False):
            mine.put(_array(blob))
        for top in self.top:
            top.dtype = self.bottom[0].dtype if self.bottom else top.dtype
            top.put()
        self._call("reshape", self.bottom, self.top)

    def differentiate(
        self, tensors: Sequence[Tensor], tops: Sequence[Tensor], grads: Sequence[Tensor], wanted: Sequence[bool]
    ) -> list[Tensor | None]:
        """``backward`` of the class: the gradients at the bottoms and blobs, ``tensors``."""
        holders = [*self.bottom, *self.user.blobs]
        for holder, tensor in zip(holders, tensors, strict=True):
            holder.put(_array(tensor))
        for top, value, grad in zip(self.top, tops, grads, strict=True):
            top.put(_array(value), _array(grad).copy())
        self._call("backward", self.top, list(wanted[: len(self.bottom)]), self.bottom)
        found = zip(holders, tensors, wanted, strict=True)
        return [torch.from_numpy(h.diff).to(t.device, t.dtype) if want else None for h, t, want in found]

    def lower(self, g: GraphBuilder, *bottoms: Value) -> Value:
        raise CannotLower(
            f"{self.path} is Python code of your own; leave it out of the deployed net (an Input layer in place of one "
            "that reads data, no layer in place of a loss), or write it as a caffe_compat.Layer with a lower()"
        )


class _Run(torch.autograd.Function):
    """The class's forward and backward, of which only it knows how they belong together."""

    @staticmethod
    def forward(ctx: Any, layer: Python, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        tops = layer.compute(tensors[:count], tensors[count:])
        ctx.layer, ctx.count = layer, len(tensors)
        ctx.save_for_backward(*tensors, *tops)
        return tops

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        tensors, tops = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
        return None, None, *ctx.layer.differentiate(tensors, tops, grads, ctx.needs_input_grad[2:])


def _array(tensor: Tensor) -> np.ndarray:
    """float32 or float64 on the CPU; the tensor's own memory where it is that already."""
    wide = tensor.detach() if tensor.dtype == torch.float64 else tensor.detach().float()
    array: np.ndarray = wide.cpu().contiguous().numpy()
    return array


def _blob(tensor: Tensor) -> PythonBlob:
    blob = PythonBlob()
    blob.put(_array(tensor))
    return blob
