"""Layers: one family a file; each class says its mathematics in torch and, under it, in ONNX.

Every layer and loss here is a torch module of use without a prototxt::

    from caffe_compat.layers import SMSoftmaxLoss
    loss = SMSoftmaxLoss(margin=0.3)(scores, labels)
"""

from __future__ import annotations

import importlib
import pkgutil

from caffe_compat.layers.base import Layer
from caffe_compat.layers.registry import LAYERS, layer_class, register_layer

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
globals().update({cls.__name__: cls for cls in LAYERS.values()})

__all__ = ["LAYERS", "Layer", "layer_class", "register_layer", *sorted(cls.__name__ for cls in LAYERS.values())]
