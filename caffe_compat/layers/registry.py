"""The register of layer types: a class names itself with ``@register_layer("Type")``; nothing else is needed."""

from __future__ import annotations

import difflib
import inspect
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
    called ``block``; when not given, "MyType" reads ``my_type_param { }``. A class may also name them itself, as its
    attribute ``fields``. ``replace`` allows a second registration (a notebook cell that runs again).
    Raises NetError for a type that is taken, or a class that does not take its fields.
    """

    if not isinstance(type_name, str):
        raise NetError('write @register_layer("Type") over the class, with the type name in parentheses')
    if not type_name:
        raise NetError('the type name is empty; give the one that the prototxt writes: @register_layer("Type")')

    def register(cls: LayerClass) -> LayerClass:
        if type_name in LAYERS and not replace:
            raise NetError(
                f"layer type '{type_name}' is registered already, by {LAYERS[type_name].__qualname__}; "
                "choose another name, or pass replace=True"
            )
        named = fields if fields is not None else vars(cls).get("fields")
        check_class(type_name, cls, block, named)
        if named is not None:
            own = block or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type_name).lower() + "_param"
            cls.declare_fields(own, named)
        cls.type_name = type_name
        LAYERS[type_name] = cls
        return cls

    return register


def check_class(type_name: str, cls: type, block: str | None, fields: Mapping[str, Any] | None) -> None:
    """Raise NetError for a class that could not be built from a prototxt."""
    from caffe_compat.layers.base import Layer

    if not issubclass(cls, Layer):
        raise NetError(f"layer type '{type_name}': {cls.__qualname__} is no caffe_compat.Layer; derive it from Layer")
    if block and fields is None:
        raise NetError(f"layer type '{type_name}': block '{block}' has no fields; pass fields={{\"name\": default}}")
    keywords = inspect.signature(cls).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in keywords.values())
    missing = [name for name in fields or {} if name not in keywords and not takes_any]
    if missing:
        raise NetError(
            f"layer type '{type_name}': field(s) {', '.join(missing)} are no keywords of {cls.__qualname__}.__init__; "
            f"it takes {', '.join(keywords) or 'none'}"
        )


def layer_class(type_name: str) -> type[Layer]:
    """The class of a layer type. Raises NetError that lists near names."""
    if type_name in LAYERS:
        return LAYERS[type_name]
    near = near_types(type_name)
    if near:
        raise NetError(f"unknown layer type '{type_name}'; did you mean {' or '.join(near)}?")
    raise NetError(
        f"unknown layer type '{type_name}'; a class of your own is made known by caffe_compat.register_layer, and to a "
        f"command by --import FILE.py (known types: {', '.join(sorted(LAYERS))})"
    )


def near_types(type_name: str) -> list[str]:
    """Registered types of a similar name, the nearest first."""
    near = difflib.get_close_matches(type_name, LAYERS, n=3, cutoff=0.6)
    lower = [name for name in LAYERS if name.lower() == type_name.lower()]
    return list(dict.fromkeys(lower + near))
