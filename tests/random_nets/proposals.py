"""How each layer type is drawn: from the blobs that are there to a layer's bottoms, tops and fields.

A proposal mostly fits its bottoms; where it does not, the layer has to be refused (see ``draw.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.random_nets.case import Shape
from tests.random_nets.dice import Dice


@dataclass
class Proposal:
    """The names of a layer's bottoms, its fields, how many tops it makes, and loss weights that it must have."""

    bottoms: list[str]
    text: str = ""
    tops: int = 1
    loss_weights: list[str] = field(default_factory=list)


class Sketch:
    """The blobs so far. ``take`` chooses a bottom, ``ask`` adds an input for the layer that is being proposed."""

    def __init__(self, dice: Dice, blobs: dict[str, Shape]) -> None:
        self.dice = dice
        self.blobs = blobs
        self.asked: list[tuple[str, Shape, str]] = []

    def take(self, *axes: int) -> tuple[str, Shape]:
        """A blob, mostly the newest, if possible with one of these numbers of axes; else a new input."""
        names = [name for name, shape in self.blobs.items() if not axes or len(shape) in axes][::-1]
        if not names or (axes and self.dice.chance(10)):
            shape = self.dice.shape(axes[0] if axes else None)
            return self.ask("smooth", shape), shape
        name = names[0] if self.dice.chance(60) else self.dice.of(names)
        return name, self.blobs[name]

    def same(self, shape: Shape, kind: str = "smooth") -> str:
        """A blob of this shape, or a new input."""
        names = [name for name, other in self.blobs.items() if other == shape]
        return self.dice.of(names) if names and self.dice.chance(50) else self.ask(kind, shape)

    def ask(self, kind: str, shape: Shape) -> str:
        name = f"b{len(self.blobs) + len(self.asked)}"
        self.asked.append((name, shape, kind))
        return name


Propose = Callable[[Dice, Sketch, str], Proposal]
PROPOSALS: dict[str, Propose] = {}


def of_type(*types: str) -> Callable[[Propose], Propose]:
    def register(propose: Propose) -> Propose:
        PROPOSALS.update(dict.fromkeys(types, propose))
        return propose

    return register


def elementwise(block: str = "", *fields: str, axes: tuple[int, ...] = ()) -> Propose:
    """One bottom, any shape; each field of the block given or left out, "?" standing for a number."""

    def propose(d: Dice, s: Sketch, kind: str) -> Proposal:
        name, _ = s.take(*axes)
        given = [text.replace("?", d.real()) for text in fields if d.chance(50)]
        return Proposal([name], f"{block} {{ {' '.join(given)} }}" if given else "")

    return propose


for _type, _arguments in {
    "AbsVal": (), "BNLL": (), "Sigmoid": (), "TanH": (),
    "ELU": ("elu_param", "alpha: ?"),
    "Exp": ("exp_param", "base: 2", "scale: ?", "shift: ?"),
    "Log": ("log_param", "base: 10", "scale: 0.5", "shift: 3"),
    "Power": ("power_param", "power: ?", "scale: ?", "shift: ?"),
    "ReLU": ("relu_param", "negative_slope: ?"),
    "Swish": ("swish_param", "beta: ?"),
    "Threshold": ("threshold_param", "threshold: ?"),
    "Dropout": ("dropout_param", "dropout_ratio: 0.3"),
    "PReLU": ("prelu_param", "channel_shared: true", "filler { value: ? }"),
    "MVN": ("mvn_param", "across_channels: true", "normalize_variance: false", "eps: 0.1"),
}.items():  # fmt: skip
    PROPOSALS[_type] = elementwise(*_arguments, axes=(4, 2, 3, 5) if _type in ("PReLU", "MVN") else ())


@of_type("Clip")
def clip(d: Dice, s: Sketch, kind: str) -> Proposal:
    return Proposal([s.take()[0]], f"clip_param {{ min: {d.real()} max: {d.real()} }}")


@of_type("BatchNorm")
def batch_norm(d: Dice, s: Sketch, kind: str) -> Proposal:
    fields = [d.of(["", "use_global_stats: true", "use_global_stats: false"])]
    fields.append(d.some("eps: 0.01", "moving_average_fraction: 0.5"))
    params = "param { lr_mult: 0 } " * 3 if d.chance(30) else ""
    return Proposal([s.take(4, 2, 3, 5)[0]], f"{params}batch_norm_param {{ {' '.join(fields)} }}")


# ---- windows


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


# ---- products and broadcasts


@of_type("InnerProduct")
def inner_product(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    fields = d.some("bias_term: false", "transpose: true", f"axis: {d.axis(len(shape))}", percent=30)
    return Proposal([name], f"inner_product_param {{ num_output: {d.number(1, 5)} {fields} }}")


@of_type("Embed")
def embed(d: Dice, s: Sketch, kind: str) -> Proposal:
    rows = d.number(1, 6)
    index = s.ask(f"labels {rows}", d.shape(d.of([1, 2, 3]), 4))
    fields = f"num_output: {d.number(1, 4)} input_dim: {rows} {d.some('bias_term: false')}"
    return Proposal([index], f"embed_param {{ {fields} }}")


@of_type("Bias", "Scale")
def broadcast(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    axis = d.axis(len(shape))
    first = axis % max(len(shape), 1)
    count = d.of([1, 0, -1, *range(len(shape) - first + 1)])
    fields = [f"axis: {axis}" if d.chance(80) else ""]
    bottoms = [name]
    if d.chance(40):
        end = len(shape) if count < 0 else first + count
        bottoms.append(s.same(shape[first:end]))
    else:
        fields.append(f"num_axes: {count}" if d.chance(60) else "")
    return Proposal(bottoms, f"{kind.lower()}_param {{ {' '.join(fields)} }}")


@of_type("Eltwise")
def eltwise(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    bottoms = [name] + [s.same(shape) for _ in range(d.number(1, 2))]
    operation = d.of(["", "operation: SUM", "operation: PROD", "operation: MAX"])
    fields = " ".join(f"coeff: {d.real()}" for _ in bottoms) if "PROD" not in operation and d.chance(40) else ""
    if "PROD" in operation and d.chance(20):
        fields = "stable_prod_grad: false"
    return Proposal(bottoms, f"eltwise_param {{ {operation} {fields} }}")


# ---- shapes


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


# ---- rows


@of_type("BatchReindex")
def batch_reindex(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    index = s.ask(f"labels {shape[0] if shape else 1}", (d.number(1, 6),))
    return Proposal([name, index])


@of_type("Filter")
def filter_(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    others = [s.same((*shape[:1], *d.shape(2, 3)))] if d.chance(30) else []
    selector = s.ask("flags", (*shape[:1], *[1] * d.number(0, 2)))
    return Proposal([name, *others, selector], "", 1 + len(others))


# ---- recurrent


@of_type("LSTM", "RNN")
def recurrent(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take(3, 4)
    steps = shape[:2]
    bottoms = [name, s.ask("sequence", steps)]
    if d.chance(30):
        bottoms.append(s.ask("smooth", (*steps[1:], *d.shape(1, 4))))
    size = d.number(1, 4)
    exposed = {"LSTM": 2, "RNN": 1}[kind] if d.chance(30) else 0
    bottoms += [s.ask("smooth", (1, *steps[1:], size)) for _ in range(exposed)]
    fields = f"num_output: {size}" + (" expose_hidden: true" if exposed else "")
    return Proposal(bottoms, f"recurrent_param {{ {fields} }}", 1 + exposed)


@of_type("LSTMUnit")
def lstm_unit(d: Dice, s: Sketch, kind: str) -> Proposal:
    streams, size = d.number(1, 4), d.number(1, 3)
    shapes = [(1, streams, size), (1, streams, 4 * size)]
    return Proposal([s.same(shapes[0]), s.same(shapes[1]), s.ask("flags", (1, streams))], "", 2)


# ---- losses and scores


def loss_param(d: Dice, ignore: int | None, *fields: str) -> str:
    mode = d.of(["", "", "normalization: FULL", "normalization: VALID", "normalization: BATCH_SIZE",
                 "normalization: NONE", "normalize: true", "normalize: false"])  # fmt: skip
    ignored = f"ignore_label: {ignore}" if ignore is not None and d.chance(40) else ""
    text = " ".join([mode, ignored, *fields]).strip()
    return f"loss_param {{ {text} }}" if text else ""


def class_labels(d: Dice, s: Sketch, shape: Shape, axis: int) -> tuple[str, int]:
    """Labels for scores of this shape, with or without the axis of classes as one of size 1."""
    classes = shape[axis] if -len(shape) <= axis < len(shape) else 1
    first = axis % max(len(shape), 1)
    rest = (*shape[:first], *([1] if d.chance(30) else []), *shape[first + 1 :])
    if first == 1 and d.chance(15):
        rest = (*shape[:1], math.prod(shape[2:]))
    return s.ask(f"labels {classes}", rest), classes


def scores_and_labels(d: Dice, s: Sketch) -> tuple[list[str], str, int]:
    """The two bottoms, the field of the axis, and the number of classes."""
    name, shape = s.take(2, 4, 3, 5)
    axis = d.axis(len(shape)) if d.chance(40) else 1
    labels, classes = class_labels(d, s, shape, axis)
    return [name, labels], f"axis: {axis}" if axis != 1 or d.chance(20) else "", classes


@of_type("Accuracy")
def accuracy(d: Dice, s: Sketch, kind: str) -> Proposal:
    bottoms, axis, classes = scores_and_labels(d, s)
    fields = d.some(f"ignore_label: {d.number(0, classes - 1)}", f"top_k: {d.number(1, 2)}")
    return Proposal(bottoms, f"accuracy_param {{ {axis} {fields} }}", d.of([1, 1, 2]))


@of_type("SoftmaxWithLoss", "SMSoftmaxLoss", "InfogainLoss")
def class_loss(d: Dice, s: Sketch, kind: str) -> Proposal:
    bottoms, axis, classes = scores_and_labels(d, s)
    block = "infogain_loss_param" if kind == "InfogainLoss" else "softmax_param"
    text = f"{block} {{ {axis} }} {loss_param(d, d.number(0, classes - 1))}"
    if kind == "InfogainLoss":
        bottoms.append(s.ask("smooth", (classes, classes)))
    if kind == "SMSoftmaxLoss":
        text += f" smsoftmax_param {{ margin: {d.of(['0', '0.3', '2', '20'])} }}"
    tops = 2 if d.chance(5 if kind == "SoftmaxWithLoss" else 30) else 1
    return Proposal(bottoms, text, tops, [d.of(["1", "0.5"]), "0"] if tops == 2 else [])


@of_type("SigmoidCrossEntropyLoss")
def sigmoid_cross_entropy(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    return Proposal([name, s.ask(f"labels {d.of([2, 3])}", shape)], loss_param(d, d.of([2, 1, 0])))


@of_type("EuclideanLoss")
def euclidean(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take(2, 3, 4, 1)
    return Proposal([name, s.same(shape)])


@of_type("HingeLoss", "MultinomialLogisticLoss")
def score_loss(d: Dice, s: Sketch, kind: str) -> Proposal:
    shape = d.shape(d.of([2, 3, 4]))
    name = s.ask("simplex", shape) if d.chance(50) else ""
    if not name:
        name, shape = s.take(2, 3, 4)
    classes = math.prod(shape[1:])
    labels = s.ask(f"labels {classes}", (*shape[:1], *[1] * d.number(0, 2)))
    norm = f"hinge_loss_param {{ norm: {d.of(['L1', 'L2'])} }}" if kind == "HingeLoss" and d.chance(60) else ""
    return Proposal([name, labels], norm)


@of_type("ContrastiveLoss")
def contrastive(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take(2)
    fields = d.some("margin: 3", "legacy_version: true")
    flags = s.ask("flags", shape[:1])
    return Proposal([name, s.same(shape), flags], f"contrastive_loss_param {{ {fields} }}")
