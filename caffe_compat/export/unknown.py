"""Layer types that nobody knows, all told at once."""

from __future__ import annotations

from caffe_compat.errors import ExportError
from caffe_compat.layers import LAYERS
from caffe_compat.layers.registry import near_types
from caffe_compat.proto import Document


def refuse_unknown_types(document: Document) -> None:
    """Raise one ExportError that lists every layer whose type is not registered, with its place."""
    lines = [
        f"  layer '{layer.name}' ({layer.type}), {document.where('layer', index)}{_hint(layer.type)}"
        for index, layer in enumerate(document.message.layer)
        if layer.type not in LAYERS
    ]
    if lines:
        raise ExportError(
            "the net cannot be exported, because it has layers of types that are not known; register classes for them "
            "with caffe_compat.register_layer:\n" + "\n".join(lines)
        )


def _hint(type_name: str) -> str:
    near = near_types(type_name)
    return f": did you mean {' or '.join(near)}?" if near else ""
