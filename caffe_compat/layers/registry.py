"""The register of layer types: a class names itself with ``@register_layer("Type")``; nothing else is needed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from caffe_compat.errors import NetError

if TYPE_CHECKING:
    from caffe_compat.layers.base import Layer

LAYERS: dict[str, type[Layer]] = {}
LayerClass = TypeVar("LayerClass", bound="type[Layer]")


def register_layer(
    type_name: str, *, fields: Mapping[str, Any] | None = None, block: str | None = None, replace: bool = False
) -> Callable[[LayerClass], LayerClass]:
    """Class decorator that makes ``type: "type_name"`` in a prototxt build this layer.

    ``fields`` declares the fields of the layer's own block, each by its default value or its Python type
    (``{"alpha": 0.5, "mode": str, "sizes": [int]}``); they arrive as keywords of the constructor. The block is
    called ``block``; when not given, "MyType" reads ``my_type_param { }``. ``replace`` allows a second
    registration (a notebook cell that runs again). Raises NetError for a type that is taken.
    """

    def register(cls: LayerClass) -> LayerClass:
        if type_name in LAYERS and not replace:
            raise NetError(
                f"layer type '{type_name}' is registered already, by {LAYERS[type_name].__qualname__}; "
                "choose another name, or pass replace=True"
            )
        if fields is not None:
            own = block or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type_name).lower() + "_param"
            cls.declare_fields(own, fields)
        cls.type_name = type_name
        LAYERS[type_name] = cls
        return cls

    return register


def layer_class(type_name: str) -> type[Layer]:
    """The class of a layer type. Raises NetError that lists near names."""
    if type_name in LAYERS:
        return LAYERS[type_name]
    near = difflib.get_close_matches(type_name, LAYERS, n=3, cutoff=0.6)
    lower = [name for name in LAYERS if name.lower() == type_name.lower()]
    hint = f"did you mean {' or '.join(dict.fromkeys(lower + near))}?" if near or lower else (
        "register a class of your own with caffe_compat.register_layer"
    )
    raise NetError(f"unknown layer type '{type_name}'; {hint} (known types: {', '.join(sorted(LAYERS))})")
