"""From a LayerParameter message to a Layer object."""

from __future__ import annotations

from typing import Any

from caffe_compat.layers.base import Layer
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.registry import layer_class
from caffe_compat.proto import block_fields, is_repeated
from caffe_compat.proto.fields import message_fields


def create_layer(param: Any) -> Layer:
    """The layer that a LayerParameter (message) describes, with the right number of tops, before ``setup``.

    Raises NetError for an unknown type, a wrong number of bottoms or tops, or a field out of its range.
    """
    cls = layer_class(param.type)
    num_tops = max(len(param.top), cls.tops.least if cls.is_loss else 0)
    cls.check_counts(len(param.bottom), num_tops)
    layer = cls(**constructor_arguments(cls, param))
    layer.num_tops = num_tops
    return layer


def constructor_arguments(cls: type[Layer], param: Any) -> dict[str, Any]:
    """The fields that are set in the layer's blocks, as Python values."""
    arguments: dict[str, Any] = {}
    for block in cls.blocks:
        message = block_fields(param, block)
        if message is not None:
            arguments.update((field.name, _python(field, value)) for field, value in message.ListFields())
    arguments.pop("engine", None)  # CAFFE or CUDNN: torch chooses
    return arguments


def _python(field: Any, value: Any) -> Any:
    """Enums by name, fillers as Filler, shapes and repeated fields as lists."""
    if field.message_type is not None and field.message_type.name == "FillerParameter":
        return [filler(item) for item in value] if is_repeated(field) else filler(value)
    if field.message_type is not None and field.message_type.name == "BlobShape":
        return [list(item.dim) for item in value] if is_repeated(field) else list(value.dim)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return list(value) if is_repeated(field) else value


def filler(message: Any) -> Filler:
    """A FillerParameter message as a Filler."""
    values = {field.name: _python(field, value) for field, value in message.ListFields()}
    return Filler(**values)


def default_fields(block: str) -> dict[str, Any]:
    """The schema's defaults of a block, as constructor arguments; None where a field has no default."""
    descriptor = message_fields("LayerParameter").by_name[block].descriptor.message_type
    return {
        field.name: (_python(field, field.default_value) if field.has_default_value else None)
        for field in descriptor.fields
    }
