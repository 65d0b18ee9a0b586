"""The pages of the layer documentation: which layer stands on which."""

from __future__ import annotations

from caffe_compat.layers import LAYERS, Layer
from caffe_compat.tools.support import origin

TITLES = {
    "activations": "Activations and elementwise functions",
    "convolution": "Convolution, pooling, inner product",
    "normalisation": "Normalisation, scale and bias",
    "combination": "Combining, cutting and reshaping blobs",
    "recurrent": "Recurrent layers",
    "losses": "Losses and scores",
    "data": "Data and inputs",
    "forks": "Layers of Caffe's forks",
    "other": "Other layers",
}
_MODULES = {
    "activations": "activation prelu elementwise power dropout softmax",
    "convolution": "convolution im2col inner_product pooling spp",
    "normalisation": "batch_norm lrn mvn scale",
    "combination": "argmax concat crop eltwise reduction reshape rows split tile",
    "recurrent": "lstm lstm_unit rnn",
    "losses": "accuracy",
    "data": "data dummy_data hdf5_data hdf5_output image_data input memory_data parameter window_data",
    "other": "python_layer",
}
_FAMILY = {module: family for family, modules in _MODULES.items() for module in modules.split()}


def family(name: str) -> str:
    """The page of a registered layer: by its file, else losses, else forks, else other."""
    cls = LAYERS[name]
    module = cls.__module__.rpartition(".")[2]
    if module in _FAMILY and cls.__module__.startswith("caffe_compat."):
        return _FAMILY[module]
    if cls.is_loss:
        return "losses"
    return "forks" if " " in origin(name) or "/" in origin(name) else "other"


def families() -> dict[str, list[type[Layer]]]:
    """Page -> the package's own layers on it, by name; pages without any are left out."""
    pages: dict[str, list[type[Layer]]] = {name: [] for name in TITLES}
    for name in sorted(LAYERS, key=str.lower):
        if LAYERS[name].__module__.startswith("caffe_compat."):
            pages[family(name)].append(LAYERS[name])
    return {name: layers for name, layers in pages.items() if layers}
