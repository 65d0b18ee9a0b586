"""A GPU that computes nothing, to see from any machine what a training would make a GPU and its host wait for.

Its tensors have shapes and no values (torch's FakeTensorMode), so reading a value is an error, and so is a tensor that
was left on the CPU; what else is done on the CPU, and copies from there, are noted. Told is, as JSON, what was found
during iterations between two displays, and in passes of every layer. A process of its own, because torch knows of such
a device for good.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree, backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

from caffe_compat import load_net
from caffe_compat.proto import pb, read_net
from caffe_compat.solver import Solver
from tests.layers.examples import EXAMPLES, Example

DEVICE = "fakegpu:0"
ROOT = Path(__file__).parents[2]
SOLVER = """net_param { %s } base_lr: 0.01 lr_policy: "fixed" weight_decay: 0.0005 clip_gradients: 10
  iter_size: 2 max_iter: 9 snapshot_after_train: false random_seed: 1 %s """
LSTM = """
layer { name: "x" type: "Input" top: "x" top: "cont" top: "label" input_param { shape { dim: 3 dim: 2 } } }
layer { name: "embed" type: "Embed" bottom: "x" top: "e" embed_param { num_output: 6 input_dim: 9 } }
layer { name: "lstm" type: "LSTM" bottom: "e" bottom: "cont" top: "h" recurrent_param { num_output: 5 } }
layer { name: "ip" type: "InnerProduct" bottom: "h" top: "s" inner_product_param { num_output: 9 axis: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "s" bottom: "label" top: "loss" softmax_param { axis: 2 }
  loss_param { ignore_label: 0 } }
"""
RARE = """
layer { name: "x" type: "Input" top: "x" top: "label"
  input_param { shape { dim: 2 dim: 3 dim: 7 dim: 7 } shape { dim: 2 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "pad" type: "Pooling" bottom: "c" top: "pad" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 2 } }
layer { name: "draw" type: "Pooling" bottom: "pad" top: "draw"
  pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 } }
layer { name: "norm" type: "LRN" bottom: "draw" top: "norm" }
layer { name: "drop" type: "Dropout" bottom: "norm" top: "norm" }
layer { name: "fc" type: "InnerProduct" bottom: "norm" top: "fc" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "InfogainLoss" bottom: "fc" bottom: "label" top: "loss"
  infogain_loss_param { source: "H.binaryproto" } }
layer { name: "right" type: "Accuracy" bottom: "fc" bottom: "label" top: "right" accuracy_param { ignore_label: 0 } }
"""


class Watch(TorchDispatchMode):
    """Notes each operator that sees or makes a tensor of the CPU, with the line of ours that called it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in _pytree.tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)]
        if any(x.device.type == "cpu" for x in tensors):
            ours = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_stack() if "compat" in f.filename]
            self.found.add(f"{func} at {ours[-1] if ours else 'no line of ours'}")
        return result


def training(prototxt: str, update: str = "momentum: 0.9") -> list[str]:
    """What the second and third iteration would wait for."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        solver = Solver(SOLVER % (prototxt, update), device=DEVICE, log=lambda event: None)
        shapes = {name: solver.net.shapes[name] for name in solver.net.inputs}
        solver.feed = lambda: {name: torch.zeros(shape, device=DEVICE) for name, shape in shapes.items()}
        solver.step(1)
        with Watch() as watch:
            solver.step(2)
    return sorted(watch.found)


def passes(example: Example) -> list[str]:
    """What a forward and a backward pass of one layer would wait for."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        inputs = {name: value.to(DEVICE).requires_grad_() for name, value in example.inputs().items()}
        net = load_net(example.prototxt(), example.phase, device=DEVICE, seed=1)
        with Watch() as watch:
            tops = [top for top in net(**inputs).values() if top.requires_grad]
            torch.autograd.backward(tops, [torch.ones_like(top) for top in tops])
    return sorted(watch.found - {text for text in watch.found if "zeros.default at running.py" in text})  # no loss


def told(call: Callable[[], list[str]]) -> list[str]:
    try:
        return call()
    except Exception as error:
        return [f"{type(error).__name__}: {str(error).splitlines()[0]}"]


def fed(name: str, *shapes: tuple[int, ...]) -> str:
    """A net of ``prototxt/`` with an Input layer in the place of its data base."""
    net = read_net(ROOT / "prototxt" / name / "train_val.prototxt").message
    layers = [layer for layer in net.layer if layer.type != "Data"]
    data = pb.LayerParameter(name="data", type="Input", top=["data", "label"])
    for shape in shapes:
        data.input_param.shape.add(dim=shape)
    del net.layer[:]
    net.layer.extend([data, *layers])
    return str(net)


def known(name: str) -> str:
    """A net of ``benchmarks/``."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import nets

    return str(nets.NETS[name].prototxt(2))


def rare() -> str:
    matrix = pb.BlobProto(data=range(9), num=1, channels=1, height=3, width=3)
    Path("H.binaryproto").write_bytes(matrix.SerializeToString())
    return RARE


NETS: dict[str, Callable[[], str]] = {
    "lenet": lambda: fed("lenet", (4, 1, 28, 28), (4,)),
    "cifar10": lambda: fed("cifar10", (4, 3, 32, 32), (4,)),
    "alexnet": lambda: known("alexnet"),
    "googlenet": lambda: known("googlenet"),
    "resnet50": lambda: known("resnet50"),
    "lstm": lambda: LSTM,
    "rare": rare,
}

KINDS = {
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "",
    "RMSProp": "rms_decay: 0.9",
    "AdaDelta": "momentum: 0.9",
    "Adam": "momentum: 0.9",
}

if __name__ == "__main__":
    backend_registration._setup_privateuseone_for_python_backend("fakegpu")
    results = {name: told(lambda net=net: training(net())) for name, net in NETS.items()}
    for kind, update in KINDS.items():
        results[kind] = told(lambda kind=kind, update=update: training(LSTM, f'type: "{kind}" {update}'))
    for example in EXAMPLES:
        results[str(example)] = told(lambda example=example: passes(example))
    print(json.dumps(results), flush=True)
    os._exit(0)  # the end of the interpreter would find torch's thread for the device still running
