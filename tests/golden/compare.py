"""Is an array the one that Caffe computed?

Allowed is a difference of ``tolerance`` times the largest absolute value of Caffe's array, plus what two runs of
Caffe itself differ by (``noise.json``). NaN has to be where Caffe has NaN.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.golden.cases import Case

TOLERANCE = 1e-5
CURVE = 1e-4
"""For what 50 iterations lead to."""
PRINTED = 1.5e-5
"""For numbers that Caffe printed with 6 significant digits: up to 5e-6 is the rounding of the print."""

FILLING = 1e6
"""A stored gradient from here on is none. The program that made the values fills the diffs of all blobs with 7.25e7
before the backward pass, to see which ones Caffe writes; HingeLoss keeps its margins in its bottom's diff from the
forward to the backward pass, so what it wrote was computed from the filling. Finite differences agree with us.
"""

ROUNDING_ONLY = 1e-6
"""An array below this share of the largest one is what rounding leaves of sums that are 0."""

_CANCELS = (
    "a Scale in front of a BatchNorm: the gradient cancels, and what is left of it is rounding: in float64 its bias "
    "has 3e-13 (Caffe: 9e-5) and its scale 0.1047364 (Caffe: 0.1047497)"
)
_DIVIDED = "the bias in front of a BatchNorm: its gradient is rounding alone, which Adam divides by its own size"
WIDER: dict[str, tuple[float, str]] = {
    "fuzz/net_004:pgrad.sc2.0": (3e-4, _CANCELS),
    "fuzz/net_004:pgrad.sc2.1": (2.0, _CANCELS),
    "files/snapshot_adam_binaryproto:iter10.param.conv1.1": (1e-3, _DIVIDED),
    "files/snapshot_adam_binaryproto:resumed10.param.conv1.1": (1e-3, _DIVIDED),
}
"""Case, or case:array -> (tolerance, the reason why it may be wider)."""


class Comparison:
    """Collects what differs in one case, so that a failure lists all of it::

    with Comparison(case) as compare:
        compare("out.y", y)
    """

    def __init__(self, case: Case, tolerance: float = TOLERANCE) -> None:
        self.case = case
        self.tolerance = tolerance
        self.problems: list[str] = []
        self.overwrites_diffs = "meta" in case.arrays and "HingeLoss" in case.meta.get("layer_types", ())
        self.defects = set(case.meta.get("defect", ())) if "meta" in case.arrays else set()

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            self.finish()

    def finish(self) -> None:
        """Fail with the list of what differs."""
        if self.problems:
            raise AssertionError("\n".join([str(self.case), *self.problems]))

    def __call__(self, key: str, found: Any, expected: np.ndarray | None = None, noise: float = 0.0) -> None:
        """Compare ``found`` with the case's array ``key``, or with ``expected``; ``noise``: allowed besides."""
        if key in self.defects:
            return
        expected = self.case.arrays[key] if expected is None else np.asarray(expected)
        if key.startswith("grad.") and self.overwrites_diffs and float(np.abs(expected).max(initial=0.0)) >= FILLING:
            warnings.warn(f"{self.case}: {key} is not compared: it is the generator's filling", stacklevel=2)
            return
        wider = [WIDER[name][0] for name in (str(self.case), f"{self.case}:{key}") if name in WIDER]
        tolerance = max([self.tolerance, *wider])
        problem = difference(to_numpy(found), expected, tolerance, self.case.noise.get(key, 0.0) + noise)
        if problem:
            self.problems.append(f"{key}: {problem}")


def difference(found: np.ndarray, expected: np.ndarray, tolerance: float, noise: float = 0.0) -> str | None:
    """What is wrong with ``found``, or None."""
    if found.shape != expected.shape:
        return f"shape {found.shape}, Caffe has {expected.shape}"
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    if not np.array_equal(np.isnan(found), np.isnan(expected)):
        return f"NaN at {nan_places(found)}, Caffe has it at {nan_places(expected)}"
    same = (found == expected) | np.isnan(expected)
    if same.all():
        return None
    finite = np.abs(expected[np.isfinite(expected)])
    allowed = tolerance * finite.max(initial=0.0) + noise
    with np.errstate(invalid="ignore"):  # infinity - infinity, where both are the same
        off = np.where(same, 0.0, np.abs(found - expected))
    at = np.unravel_index(np.argmax(off), off.shape)
    if off[at] <= allowed:
        return None
    count = int((off > allowed).sum())
    place = f" at {list(map(int, at))}" if at else ""
    return (
        f"{found[at]:.9g}{place}, Caffe has {expected[at]:.9g}: off by {off[at]:.3g}, allowed {allowed:.3g} "
        f"({count} of {off.size} differ)"
    )


def nan_places(array: np.ndarray) -> list[list[int]]:
    """The first few indices of NaN."""
    return np.argwhere(np.isnan(array)).tolist()[:9]


def rounding_noise(arrays: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What to allow for each of these gradients, or weights, that is nothing but rounding.

    The gradient of a bias in front of a BatchNorm is 0 but for rounding, and so is the bias after some training.
    """
    largest = {key: float(np.abs(array).max(initial=0.0)) for key, array in arrays.items()}
    bound = ROUNDING_ONLY * max(largest.values(), default=0.0)
    return {key: bound if 0 < size < bound else 0.0 for key, size in largest.items()}


def to_numpy(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
