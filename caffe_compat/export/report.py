"""What an export tells about the file that it wrote."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caffe_compat.export.preprocessing import Preprocessing
from caffe_compat.export.verify import VerifyReport


@dataclass
class ExportReport:
    """What was written. ``batch``: "N", or the number that the batch size is fixed to."""

    path: Path
    opset: int
    batch: str | int | None
    inputs: dict[str, list[int | str]]
    outputs: dict[str, list[int | str]]
    nodes: int
    bytes: int
    seconds: float
    preprocessing: Preprocessing
    verified: VerifyReport | None = None
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{self.path}: opset {self.opset}, {self.nodes} nodes, {self.bytes / 1e6:.3g} MB, {self.seconds:.2g} s",
            *(f"  input  {name} {sizes}" for name, sizes in self.inputs.items()),
            *(f"  output {name} {sizes}" for name, sizes in self.outputs.items()),
            f"  {str(self.verified).splitlines()[0] if self.verified else 'not verified'}",
        ]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])


def sizes(values: Any) -> dict[str, list[int | str]]:
    """Name -> sizes of graph inputs or outputs; a size is a number, a symbol, or "?"."""
    return {
        v.name: [d.dim_param or (d.dim_value if d.HasField("dim_value") else "?") for d in v.type.tensor_type.shape.dim]
        for v in values
    }
