"""How far two arrays are apart."""

from __future__ import annotations

import numpy as np


def relative_difference(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """(largest difference, the same as a part of the largest absolute value expected); infinite for other shapes."""
    if found.shape != expected.shape or not np.array_equal(np.isnan(found), np.isnan(expected)):
        return float("inf"), float("inf")
    same = (found == expected) | np.isnan(expected)
    with np.errstate(invalid="ignore"):
        off = np.where(same, 0.0, np.abs(found.astype(np.float64) - expected))
    largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
    difference = float(off.max(initial=0.0))
    return difference, difference / largest if largest else difference
