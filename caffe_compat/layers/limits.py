"""What Caffe's blobs can hold: at most 32 axes, none negative, and at most 2^31 - 1 elements."""

from __future__ import annotations

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
    if math.prod(shape) > LARGEST:
        raise NetError(
            f"{what} of shape {list(shape)} would have {math.prod(shape)} elements; accepted: at most {LARGEST}"
        )
