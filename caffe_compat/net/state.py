"""Pass 1: which layers belong to the net, given phase, level and stages (as Caffe's Net::FilterNet)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caffe_compat.errors import NetError
from caffe_compat.proto import pb

PHASES = ("TRAIN", "TEST")


@dataclass(frozen=True)
class NetState:
    """Phase ("TRAIN" or "TEST"), level and stages, against which include and exclude rules are held."""

    phase: str = "TEST"
    level: int = 0
    stages: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise NetError(f"phase {self.phase!r} is not known; accepted: TRAIN, TEST")

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
