"""Training from a solver file, as Caffe does it."""

from __future__ import annotations

from caffe_compat.solver.log import Event, GlogPrinter, Log
from caffe_compat.solver.policies import POLICIES, lr_policy
from caffe_compat.solver.solver import Solver
from caffe_compat.solver.updates import RULES, UpdateRule, update_rule

__all__ = ["POLICIES", "RULES", "Event", "GlogPrinter", "Log", "Solver", "UpdateRule", "lr_policy", "update_rule"]
