"""Pass 1: which layers belong to the net, given phase, level and stages (as Caffe's Net::FilterNet)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from caffe_compat.errors import NetError
from caffe_compat.proto import pb

PHASES = ("TRAIN", "TEST")


def stage_names(stages: Iterable[str]) -> tuple[str, ...]:
    """Names of stages: several, or one string as ``--stage`` takes it, "a,b"."""
    names = stages.split(",") if isinstance(stages, str) else stages
    return tuple(name.strip() for name in names if name.strip())


@dataclass(frozen=True)
class NetState:
    """Phase ("TRAIN" or "TEST"), level and stages, against which include and exclude rules are held."""

    phase: str = "TEST"
    level: int = 0
    stages: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise NetError(f"phase {self.phase!r} is not known; accepted: TRAIN, TEST")

    @classmethod
    def of(cls, net: Any, phase: str, level: int, stages: Iterable[str]) -> NetState:
        """The state for a NetParameter (message), whose own stages are added. ``stages``: names, or "a,b".

        Raises NetError.
        """
        if not isinstance(level, int):
            raise NetError(f"level {level!r} is a {type(level).__name__}; accepted: a whole number")
        return cls(phase, level, frozenset([*stage_names(stages), *net.state.stage]))

    def meets(self, rule: Any) -> bool:
        """Whether a NetStateRule (message) holds."""
        return (
            (not rule.HasField("phase") or pb.enum_name("Phase", rule.phase) == self.phase)
            and (not rule.HasField("min_level") or self.level >= rule.min_level)
            and (not rule.HasField("max_level") or self.level <= rule.max_level)
            and self.stages.issuperset(rule.stage)
            and self.stages.isdisjoint(rule.not_stage)
        )

    def keeps(self, layer: Any) -> bool:
        """Whether a LayerParameter (message) belongs to the net. Raises NetError."""
        if layer.include and layer.exclude:
            raise NetError("has include and exclude rules; accepted: rules of one kind only")
        if layer.include:
            return any(self.meets(rule) for rule in layer.include)
        return not any(self.meets(rule) for rule in layer.exclude)
