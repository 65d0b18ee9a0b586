"""A comparison of two runs as text that a person reads."""

from __future__ import annotations

import math

from caffe_compat.tools.comparing import Comparison, Difference


def as_text(compared: Comparison) -> str:
    """One row a quantity or blob, and the verdict."""
    along = compared.kind != "weights"
    head = ("quantity" if compared.kind == "logs" else "blob", "largest difference", "parts at" if along else "verdict",
            "values there" if along else "norms")  # fmt: skip
    rows = [head, *(_row(row, compared.tolerance, along) for row in compared.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for which, names in zip(("first", "second"), compared.only, strict=True):
        lines += [f"only in the {which}: {', '.join(names)}"] if names else []
    return "\n".join([*lines, _verdict(compared)])


def _row(row: Difference, tolerance: float, along: bool) -> tuple[str, str, str, str]:
    if along:
        place = "-" if row.iteration is None else f"iteration {row.iteration}"
    else:
        place = "equal" if row.error == 0 else "within tolerance" if row.error <= tolerance else "differs"
    values = "" if row.values is None else f"{row.values[0]:.9g}  {row.values[1]:.9g}"
    error = "shape, nan or inf" if math.isinf(row.error) else f"{row.error:.3g}" if row.error else "0"
    return row.name, error, place, values


def _verdict(compared: Comparison) -> str:
    allowed = f"tolerance {compared.tolerance:g}"
    what = f"{len(compared.rows)} {'quantities' if compared.kind == 'logs' else 'blobs'}"
    if compared.iterations:
        what += f" at {len(compared.iterations)} iterations ({compared.iterations[0]} to {compared.iterations[-1]})"
    if compared.iteration is not None:
        return f"they part at iteration {compared.iteration} ({what}; {allowed})"
    if compared.parted:
        beyond = sum(row.error > compared.tolerance for row in compared.rows)
        return f"they differ: {beyond} of {what} beyond the tolerance ({allowed})"
    equal = all(row.error == 0 for row in compared.rows)
    return f"they are equal ({what})" if equal else f"they agree ({what}; {allowed})"
