"""Losses and scores: a bottom of values beside one of labels."""

from __future__ import annotations

import math

from tests.random_nets.case import Shape
from tests.random_nets.dice import Dice
from tests.random_nets.proposals.sketch import Proposal, Sketch, of_type


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
