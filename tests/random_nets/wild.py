"""Fields with values that no sane prototxt has: any field of a layer's blocks, straight from the schema."""

from __future__ import annotations

from typing import Any

from caffe_compat.layers import LAYERS
from caffe_compat.proto import is_repeated
from caffe_compat.proto.fields import message_fields
from tests.random_nets.dice import Dice

SIGNED = (0, 1, 2, -1, 3, -2, 7, 32, 1000, 2**31 - 1, -(2**31))
UNSIGNED = (0, 1, 2, 3, 5, 64, 100_000, 2**31 - 1, 2**31, 2**32 - 1)
REALS = ("0", "1", "-1", "1e-30", "1e30", "-3e38", "inf", "-inf", "nan", "1e39")
WORDS = ("", "xavier", "gaussian", "uniform", "bilinear", "msra", "positive_unitball", "constant", "none/such", "é")
HUGE = {"Python"}
"""Types that wild fields are not given to: their fields name code."""


def wild_block(d: Dice, type_name: str) -> str:
    """One block of the type with a few wild fields, or "" where it has none."""
    blocks = [block for block in LAYERS[type_name].blocks if type_name not in HUGE]
    if not blocks:
        return ""
    block = d.of(blocks)
    message = message_fields("LayerParameter").by_name[block].descriptor.message_type
    return f"{block} {{ {wild_fields(d, message)} }}"


def wild_fields(d: Dice, message: Any) -> str:
    parts: list[str] = []
    for _ in range(d.number(1, 4)):
        field = d.of(list(message.fields))
        if any(part.startswith((f"{field.name} ", f"{field.name}:")) for part in parts):
            continue
        parts += [wild_field(d, field) for _ in range(d.of([1, 1, 2, 3]) if is_repeated(field) else 1)]
    return " ".join(parts)


def wild_field(d: Dice, field: Any) -> str:
    if field.message_type is not None:
        return f"{field.name} {{ {wild_fields(d, field.message_type)} }}"
    if field.enum_type is not None:
        return f"{field.name}: {d.of([value.name for value in field.enum_type.values])}"
    kinds = {
        field.TYPE_BOOL: ("true", "false"), field.TYPE_STRING: tuple(f'"{word}"' for word in WORDS),
        field.TYPE_FLOAT: REALS, field.TYPE_DOUBLE: REALS, field.TYPE_UINT32: UNSIGNED,
    }  # fmt: skip
    return f"{field.name}: {d.of(kinds.get(field.type, SIGNED))}"
