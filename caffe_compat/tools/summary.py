"""A net as a table."""

from __future__ import annotations

from caffe_compat.net import Net


def summary(net: Net) -> str:
    """One row a layer: name, type, tops with their shapes, number of parameters; totals below."""
    rows = [("layer", "type", "tops", "parameters")]
    for node in net.nodes:
        tops = ", ".join(f"{top} {_shape(shape)}" for top, shape in zip(node.tops, node.top_shapes, strict=True))
        count = sum(blob.numel() for blob in node.layer.blobs)
        rows.append((node.name, node.type, tops, f"{count:,}" if count else ""))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    total = sum(param.tensor.numel() for param in net.learnable)
    fed = f"inputs: {', '.join(net.inputs)}" if net.inputs else f"data layers: {', '.join(net.sources)}"
    lines.append(f"{len(net.nodes)} layers, {total:,} parameters ({total * 4 / 1e6:.1f} MB), phase {net.phase}; {fed}; "
                 f"outputs: {', '.join(net.outputs)}")  # fmt: skip
    return "\n".join(lines)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape) or "scalar"
