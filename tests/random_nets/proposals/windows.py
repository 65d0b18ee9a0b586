"""Layers that slide a window over the image, and LRN."""

from __future__ import annotations

import math

from tests.random_nets.dice import Dice
from tests.random_nets.proposals.sketch import Proposal, Sketch, of_type


def sizes(d: Dice, word: str, least: int, most: int, axes: int, always: bool = False) -> str:
    """A repeated size: left out, once, once per axis; or as _h and _w."""
    one = lambda: d.number(least, most)  # noqa: E731
    if not always and d.chance(40):
        return ""
    if axes == 2 and word != "dilation" and d.chance(25):
        stem = word.removesuffix("_size")
        return f"{stem}_h: {one()} {stem}_w: {one()}"
    count = axes if d.chance(40) else 1
    return " ".join(f"{word}: {one()}" for _ in range(count))


@of_type("Convolution", "Deconvolution")
def convolution(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take(4, 4, 3, 5, 2)
    axis = d.axis(len(shape)) if d.chance(15) else 1
    spatial = max(len(shape) - axis % max(len(shape), 1) - 1, 0)
    group = d.of([1, 1, 2, 3])
    channels = shape[axis] if -len(shape) <= axis < len(shape) else 1
    group = group if channels % group == 0 else math.gcd(group, channels)
    fields = [
        f"num_output: {group * d.number(1, 3)}",
        sizes(d, "kernel_size", 1, 3, spatial, always=True) if spatial else "",
        sizes(d, "pad", 0, 3, spatial), sizes(d, "stride", 1, 3, spatial), sizes(d, "dilation", 1, 3, spatial),
        f"group: {group}" if group > 1 else "", "" if axis == 1 else f"axis: {axis}", d.some("bias_term: false"),
    ]  # fmt: skip
    bottoms = [name] + ([s.same(shape)] if d.chance(15) else [])
    return Proposal(bottoms, f"convolution_param {{ {' '.join(fields)} }}", tops=len(bottoms))


@of_type("Im2col")
def im2col(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take(4, 3, 5)
    axis = d.axis(len(shape)) if d.chance(20) else 1
    spatial = max(len(shape) - axis % max(len(shape), 1) - 1, 0)
    fields = [
        sizes(d, "kernel_size", 1, 3, spatial, always=True), sizes(d, "pad", 0, 3, spatial),
        sizes(d, "stride", 1, 3, spatial), sizes(d, "dilation", 1, 2, spatial), "" if axis == 1 else f"axis: {axis}",
    ]  # fmt: skip
    return Proposal([name], f"convolution_param {{ {' '.join(fields)} }}")


@of_type("Pooling")
def pooling(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, _ = s.take(4)
    method = d.of(["", "pool: MAX", "pool: AVE", "pool: AVE", "pool: STOCHASTIC"])
    if d.chance(15):
        fields = ["global_pooling: true"]
    else:
        fields = [
            sizes(d, "kernel_size", 1, 4, 2, always=True).split(" kernel_size")[0],
            sizes(d, "stride", 1, 4, 2).split(" stride:")[0], sizes(d, "pad", 0, 2, 2).split(" pad:")[0],
            d.of(["", "", "round_mode: FLOOR", "round_mode: CEIL"]),
        ]  # fmt: skip
    tops = 2 if "AVE" not in method and "STOCHASTIC" not in method and d.chance(20) else 1
    return Proposal([name], f"pooling_param {{ {method} {' '.join(fields)} }}", tops)


@of_type("SPP")
def spp(d: Dice, s: Sketch, kind: str) -> Proposal:
    fields = f"pyramid_height: {d.number(1, 3)} {d.of(['', 'pool: AVE', 'pool: MAX'])}"
    return Proposal([s.take(4)[0]], f"spp_param {{ {fields} }}")


@of_type("LRN")
def lrn(d: Dice, s: Sketch, kind: str) -> Proposal:
    region = d.of(["", "norm_region: WITHIN_CHANNEL", "norm_region: ACROSS_CHANNELS"])
    fields = d.some(f"local_size: {d.of([1, 3, 5, 7])}", "alpha: 0.6", "beta: 0.5", "k: 2")
    return Proposal([s.take(4)[0]], f"lrn_param {{ {region} {fields} }}")
