"""Two samples of one distribution? Bounds that a right implementation misses once in 10^8 times or less."""

from __future__ import annotations

import numpy as np

ERRORS = 6.0
"""How many standard errors are allowed."""
BEYOND = 30
"""Of two equal samples, each further value of ours beyond Caffe's largest halves the odds: 2^-30."""
STAT_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def same_distribution(ours: np.ndarray, caffes: np.ndarray, what: str) -> None:
    """The two-sample Kolmogorov-Smirnov test; values are rounded, so that rounding does not count."""
    a, b = np.sort(np.round(ours.ravel(), 4)), np.sort(np.round(caffes.ravel(), 4))
    points = np.concatenate([a, b])
    gaps = np.searchsorted(a, points, "right") / a.size - np.searchsorted(b, points, "right") / b.size
    allowed = 3.2 * np.sqrt(1 / a.size + 1 / b.size)
    assert np.abs(gaps).max() <= allowed, f"{what}: distributions differ by {np.abs(gaps).max():.3f} > {allowed:.3f}"


def differences(ours: np.ndarray, stat: np.ndarray, quantiles: np.ndarray) -> list[str]:
    """What in a sample of ours does not fit Caffe's [count, mean, std, min, max, zeros] and quantiles."""
    x = ours.astype(np.float64).ravel()
    count, mean, std, low, high, zeros = stat
    if x.size != count:
        return [f"count {x.size}, Caffe has {count:.0f}"]
    found = {
        "mean": (x.mean(), mean, ERRORS * mean_error(x)),
        "std": (x.std(), std, ERRORS * std_error(x)),
        "zeros": ((x == 0).mean(), zeros, ERRORS * share_error((x == 0).mean(), x.size)),
        "below the minimum": ((x < low - 1e-6 * abs(low)).sum(), 0, BEYOND),
        "above the maximum": ((x > high + 1e-6 * abs(high)).sum(), 0, BEYOND),
    }
    problems = [
        f"{name} {ours:.6g}, Caffe has {caffes:.6g}, allowed {allowed:.2g}"
        for name, (ours, caffes, allowed) in found.items()
        if not abs(ours - caffes) <= allowed + 1e-6 * abs(caffes)
    ]
    return problems + quantile_differences(x, quantiles)


def quantile_differences(x: np.ndarray, quantiles: np.ndarray) -> list[str]:
    """The share of ours below (or at) Caffe's quantile q has to be q."""
    problems = []
    for share, value in zip(STAT_QUANTILES, quantiles, strict=True):
        slack = 1e-6 * abs(value)
        below, until = (x < value - slack).mean(), (x <= value + slack).mean()
        error = ERRORS * share_error(share, x.size)
        if not below - error <= share <= until + error:
            problems.append(f"{until:.4f} of the values are up to {value:.6g}, Caffe has {share}")
    return problems


def mean_error(x: np.ndarray) -> float:
    """Standard error of the difference of two means (both are samples)."""
    return float(x.std() * np.sqrt(2 / x.size))


def std_error(x: np.ndarray) -> float:
    """Standard error of the difference of two standard deviations, from the sample's own kurtosis."""
    variance = x.var()
    if variance < 1e-20:
        return 0.0
    kurtosis = ((x - x.mean()) ** 4).mean() / variance**2
    return float(np.sqrt(variance * max(kurtosis - 1, 0.0) / (4 * x.size) * 2))


def share_error(share: float, count: int) -> float:
    """Standard error of the difference of two shares; at least that of one value in ``count``."""
    return float(np.sqrt(2 * max(share * (1 - share), 1 / count) / count))
