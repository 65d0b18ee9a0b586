"""Layers that leave the shape as it is."""

from __future__ import annotations

from tests.random_nets.dice import Dice
from tests.random_nets.proposals.sketch import PROPOSALS, Proposal, Propose, Sketch, of_type


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
