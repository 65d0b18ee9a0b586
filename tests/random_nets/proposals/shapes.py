"""Layers that move, join and part values, reductions, and blobs from nothing."""

from __future__ import annotations

import math

from tests.random_nets.dice import Dice
from tests.random_nets.proposals.sketch import Proposal, Sketch, of_type


@of_type("Concat")
def concat(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    axis = d.axis(len(shape))
    bottoms = [name]
    for _ in range(d.number(0, 2)):
        other = list(shape)
        if d.chance(60) and -len(shape) <= axis < len(shape):
            other[axis] = d.number(1, 4)
        bottoms.append(s.same(tuple(other)))
    field = f"concat_dim: {axis}" if axis >= 0 and d.chance(20) else f"axis: {axis}"
    return Proposal(bottoms, f"concat_param {{ {field} }}")


@of_type("Slice")
def slice_(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    axis = d.axis(len(shape))
    size = shape[axis] if -len(shape) <= axis < len(shape) else 1
    tops = d.number(1, min(3, size))
    points = sorted(d.number(1, max(size - 1, 1)) for _ in range(tops - 1))
    text = " ".join(f"slice_point: {point}" for point in points) if size % tops or d.chance(60) else ""
    field = f"slice_dim: {axis}" if axis >= 0 and d.chance(20) else f"axis: {axis}"
    return Proposal([name], f"slice_param {{ {field} {text} }}", tops)


@of_type("Crop")
def crop(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    axis = d.axis(len(shape))
    first = axis % max(len(shape), 1)
    sizes = [d.number(1, size) for size in shape[first:]]
    reference = s.ask("smooth", (*[d.number(1, 3) for _ in shape[:first]], *sizes))
    room = [size - part for size, part in zip(shape[first:], sizes, strict=True)]
    offsets = [d.number(0, space) for space in room] if d.chance(60) else [d.number(0, min(room, default=0))]
    text = " ".join(f"offset: {offset}" for offset in offsets) if d.chance(80) else ""
    return Proposal([name, reference], f"crop_param {{ axis: {axis} {text} }}")


@of_type("Flatten")
def flatten(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    fields = d.some(f"axis: {d.axis(len(shape))}", f"end_axis: {d.axis(len(shape))}", percent=40)
    return Proposal([name], f"flatten_param {{ {fields} }}")


@of_type("Reshape")
def reshape(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    axis = d.axis(len(shape) + 1) if d.chance(50) else 0
    first = axis if axis >= 0 else len(shape) + 1 + axis
    count = d.number(-1, max(len(shape) - first, 0)) if d.chance(40) else -1
    inside = shape[max(first, 0) : None if count < 0 else first + count]
    dims = [d.of([0, size]) for size in inside]
    if dims and d.chance(70):
        cut = d.number(0, len(dims) - 1)
        dims[cut:] = [-1] if d.chance(50) else [math.prod(inside[cut:]), *[1] * d.number(0, 2)]
    fields = (f"axis: {axis} " if axis else "") + (f"num_axes: {count} " if count >= 0 else "")
    return Proposal([name], f"reshape_param {{ {fields}shape {{ {' '.join(f'dim: {dim}' for dim in dims)} }} }}")


@of_type("Tile")
def tile(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    return Proposal([name], f"tile_param {{ axis: {d.axis(len(shape))} tiles: {d.number(1, 3)} }}")


@of_type("Split")
def split(d: Dice, s: Sketch, kind: str) -> Proposal:
    return Proposal([s.take()[0]], "", d.number(1, 3))


@of_type("Silence")
def silence(d: Dice, s: Sketch, kind: str) -> Proposal:
    return Proposal([s.take()[0] for _ in range(d.number(1, 2))], "", 0)


@of_type("Reduction")
def reduction(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    operation = d.of(["", "operation: SUM", "operation: ASUM", "operation: SUMSQ", "operation: MEAN"])
    fields = d.some(f"axis: {d.axis(len(shape))}", f"coeff: {d.real()}")
    return Proposal([name], f"reduction_param {{ {operation} {fields} }}")


@of_type("ArgMax")
def argmax(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    fields = d.some("out_max_val: true", f"axis: {d.axis(len(shape))}", f"top_k: {d.number(1, 2)}")
    return Proposal([name], f"argmax_param {{ {fields} }}")


@of_type("Softmax")
def softmax(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    return Proposal([name], d.some(f"softmax_param {{ axis: {d.axis(len(shape))} }}"))


@of_type("Parameter")
def parameter(d: Dice, s: Sketch, kind: str) -> Proposal:
    dims = " ".join(f"dim: {size}" for size in d.shape())
    return Proposal([], f"parameter_param {{ shape {{ {dims} }} }}")


@of_type("DummyData")
def dummy_data(d: Dice, s: Sketch, kind: str) -> Proposal:
    dims = " ".join(f"dim: {size}" for size in d.shape())
    filler = d.some(f"data_filler {{ value: {d.real()} }}")
    return Proposal([], f"dummy_data_param {{ shape {{ {dims} }} {filler} }}")
