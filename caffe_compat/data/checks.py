"""What several sources ask of their layer's parameters."""

from __future__ import annotations

from caffe_compat.errors import NetError


def positive(value: int, field: str) -> int:
    """``value``, or NetError naming ``field`` where it is 0 (which also means: not given)."""
    if value <= 0:
        raise NetError(f"{field} is {value}: give a number greater than 0")
    return int(value)


def tops_between(least: int, most: int, num_tops: int, layer_type: str) -> None:
    """NetError where a layer of ``layer_type`` cannot fill ``num_tops`` tops."""
    if not least <= num_tops <= most:
        accepted = str(least) if least == most else f"{least} to {most}"
        raise NetError(f"{layer_type} has {num_tops} tops: it takes {accepted} (the data, and the labels)")
