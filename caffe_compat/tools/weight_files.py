"""Arrays of the weight files that are not Caffe's: .safetensors and .npz, under the names of ``Net.state_dict``."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.errors import WeightsError
from caffe_compat.files import atomic_write, reason, refused_as
from caffe_compat.weights.caffemodel import stored_layers

CAFFE = (".caffemodel", ".h5")
FORMATS = (".caffemodel", ".caffemodel.h5", ".safetensors", ".npz")
Arrays = dict[str, np.ndarray]


def format_of(path: str | os.PathLike[str]) -> str:
    """The format that a name's end says. Raises WeightsError."""
    name = os.fspath(path)
    found = next((suffix for suffix in (".caffemodel", ".h5", ".safetensors", ".npz") if name.endswith(suffix)), None)
    if found is None:
        raise WeightsError(f"{name}: the name's end says the format; accepted: {', '.join(FORMATS)}")
    return found


def read_arrays(path: str | os.PathLike[str]) -> Arrays:
    """The blobs of a weight file of any format, float32; Caffe's are called ``LAYER[INDEX]``. Raises WeightsError."""
    if format_of(path) in CAFFE:
        return {
            f"{layer.name}[{index}]": np.asarray(blob.values, np.float32).reshape(blob.shape)
            for layer in stored_layers(path)
            for index, blob in layer.blobs.items()
        }
    read = _read_npz if format_of(path) == ".npz" else _read_safetensors
    return read(Path(path))


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write .safetensors or .npz, whole or not at all."""
    if format_of(path) == ".npz":
        with refused_as(WeightsError), atomic_write(path, "w+b") as file:
            np.savez(file, allow_pickle=False, **arrays)
        return
    content = _safetensors().numpy.save(dict(arrays), metadata={"format": "pt"})
    with refused_as(WeightsError), atomic_write(path) as file:
        file.write(content)


def _read_npz(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: np.asarray(content[name], np.float32) for name in content}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} cannot be read as an .npz: {reason(error)}; copy or make it again") from error


def _read_safetensors(path: Path) -> Arrays:
    library = _safetensors()
    try:
        content = library.torch.load(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror}") from error
    except (library.SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} is no .safetensors, or damaged: {reason(error)}; copy or make it again") from error
    return {name: tensor.float().numpy() for name, tensor in content.items()}


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
        import safetensors.torch
    except ImportError as error:
        raise WeightsError(
            ".safetensors files need the package safetensors: pip install 'caffe-compat[safetensors]'"
        ) from error
    return safetensors
