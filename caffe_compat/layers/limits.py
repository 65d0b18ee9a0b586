"""What Caffe's blobs can hold: at most 32 axes, none negative, and at most 2^31 - 1 elements."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from caffe_compat.errors import NetError
from caffe_compat.layers.windows import LARGEST

MOST_AXES = 32


def check_blob(what: str, shape: Sequence[int]) -> None:
    """Raise NetError where no blob of Caffe has this shape. ``what`` names it: "the top"."""
    if len(shape) > MOST_AXES:
        raise NetError(f"{what} would have {len(shape)} axes; accepted: at most {MOST_AXES}")
    if min(shape, default=0) < 0:
        raise NetError(f"{what} has the shape {list(shape)}; accepted: dims from 0 on")
    before_zero = list(itertools.takewhile(bool, shape))  # a size of 0 does not mend what is too large before it
    if math.prod(before_zero) > LARGEST:
        raise NetError(
            f"{what} of shape {list(shape)} would have {math.prod(before_zero)} elements; accepted: at most {LARGEST}"
        )


def check_not_empty(bottom: Sequence[int], axes: slice) -> None:
    """Raise NetError where these axes of a bottom hold no value. Caffe makes an array of that size and refuses 0."""
    if 0 in bottom[axes]:
        raise NetError(
            f"the bottom of shape {list(bottom)} has no elements along the axes {list(range(len(bottom)))[axes]}; "
            "accepted: sizes of 1 and above there"
        )
