"""From a case to a net of ours with the case's weights, and what is not there yet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import caffe_compat.layers
from caffe_compat.api import load_net
from caffe_compat.errors import CaffeCompatError
from caffe_compat.layers.source import source_types
from caffe_compat.proto import Document, read_net
from tests.golden.cases import Case

UNKNOWN_FIELD = re.compile(r"unknown field '(\w+)' in (\w+)")
Arrays = Mapping[str, np.ndarray]


def skip_missing(names: Iterable[str], known: Iterable[str] = caffe_compat.layers.LAYERS) -> None:
    """Count the case as missing when it needs a layer type (or another registered name) that is not there."""
    if missing := sorted(set(names) - set(known)):
        pytest.skip("missing: " + ", ".join(missing))


def skip_missing_in(prototxt: str | Path) -> None:
    """Count the case as missing when its net has layer types or fields (of forks) that are not there.

    A data layer is there when something opens its source.
    """
    document = read_net(prototxt)
    types = {layer.type for layer in document.message.layer}
    data = {name for name in types if name.endswith("Data") and name != "DummyData"}
    skip_missing(types - data)
    skip_missing(data, source_types())
    skip_missing(unknown_fields(document), ())


def unknown_fields(document: Document) -> set[str]:
    """Message.field of what the reader skipped."""
    return {f"{message}.{field}" for note in document.notes for field, message in UNKNOWN_FIELD.findall(note)}


def types_of(prototxt: str | Path) -> set[str]:
    """The layer types in a net; none when it does not parse."""
    try:
        return {layer.type for layer in read_net(prototxt).message.layer}
    except CaffeCompatError:
        return set()


def build_net(case: Case) -> Any:
    """The net of a layer or fuzz case, with its weights; its files are written into the working directory."""
    skip_missing(case.meta["layer_types"])
    skip_missing_in(case.text("prototxt"))
    for name, content in case.part("file").items():
        Path(name).write_bytes(content.tobytes())
    state = {"phase": case.text("phase"), "level": case.meta["level"], "stages": case.meta["stages"]}
    net = load_net(case.text("prototxt"), **state)
    set_params(net, case.part("param"))
    return net


def set_params(net: Any, values: Arrays) -> None:
    """Give parameter blobs their values; keys are LAYER.I."""
    with torch.no_grad():
        for key, value in values.items():
            blob = param(net, key)
            assert tuple(blob.shape) == value.shape, f"param {key}: shape {tuple(blob.shape)}, Caffe has {value.shape}"
            blob.copy_(torch.from_numpy(value))


def param(net: Any, key: str) -> torch.Tensor:
    """The parameter blob LAYER.I."""
    layer, index = key.rsplit(".", 1)
    return net.layer(layer).blobs[int(index)]


def tensors(values: Arrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value.copy()) for name, value in values.items()}
