"""What a solver file asks for, checked before anything is built (as Caffe's Solver::Init and its children)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caffe_compat.errors import PrototxtError, SolverError
from caffe_compat.net.state import stage_names
from caffe_compat.proto import Document, pb, read_net
from caffe_compat.proto.sources import read_file
from caffe_compat.solver.policies import POLICIES
from caffe_compat.solver.updates import RULES
from caffe_compat.weights.load import Weights, weight_paths

NET_FIELDS = ("net", "net_param", "train_net", "train_net_param")


@dataclass(frozen=True)
class NetPlan:
    """A net to build: its document, and the state that its layers are chosen by."""

    document: Document
    phase: str
    level: int
    stages: tuple[str, ...]


def check_solver(document: Document, level: int, stages: Sequence[str], strict: bool) -> list[NetPlan]:
    """Refuse what Caffe refuses; the nets to build, the train net first.

    Raises SolverError with file:line, the value, and what is accepted.
    """
    check_fields(document)
    return [_train_plan(document, level, stages, strict), *_test_plans(document, strict)]


def check_fields(document: Document) -> None:
    param = document.message
    rule = RULES.get(param.type)
    if rule is None:
        raise _refuse(document, "type", f"unknown solver type '{param.type}'; known types: {', '.join(sorted(RULES))}")
    if param.lr_policy not in POLICIES:
        known = ", ".join(POLICIES)
        found = f"unknown learning-rate policy '{param.lr_policy}'" if param.lr_policy else "lr_policy is missing"
        raise _refuse(document, "lr_policy", f"{found}; known: {known}")
    for name in rule.refused:
        if getattr(param, name) != 0:
            raise _refuse(document, name, f"{name} cannot be used with {param.type}; remove it, or choose another type")
    for name, least in {**POLICIES[param.lr_policy].least, **rule.least, **_LEAST}.items():
        if getattr(param, name) < least:
            raise _refuse(document, name, f"{name} is {getattr(param, name):g}; accepted: {least:g} or more")
    for name, bound in rule.below.items():
        if getattr(param, name) >= bound:
            raise _refuse(document, name, f"{name} is {getattr(param, name):g}; accepted: below {bound:g}")
    for index, count in enumerate(param.test_iter):
        if count < 0:
            place = document.where("test_iter", index)
            raise SolverError(f"{place}: test_iter is {count}; accepted: 0 or more batches")
    if param.weight_decay and param.regularization_type not in ("L1", "L2"):
        raise _refuse(
            document, "regularization_type",
            f"unknown regularization type '{param.regularization_type}'; accepted: L1, L2",
        )  # fmt: skip
    if param.snapshot and not param.snapshot_prefix:
        raise _refuse(
            document, "snapshot", "snapshot is given but not snapshot_prefix; give the start of the file names"
        )


_LEAST = {
    "average_loss": 1,
    "iter_size": 1,
    "display": 0,
    "snapshot": 0,
    "test_interval": 0,
    "warmup_iter": 0,
    "max_iter": 0,
}


def choose_seed(param: Any, seed: int | None) -> tuple[int, str]:
    """The given seed, else the file's; where that is negative, a drawn one and what to tell about it."""
    chosen = int(param.random_seed if seed is None else seed)
    if chosen >= 0:
        return chosen, ""
    drawn = secrets.randbelow(2**31)
    return drawn, f"random_seed {drawn} was drawn; write 'random_seed: {drawn}' to repeat this run"


def notes(document: Document, plans: list[NetPlan]) -> list[str]:
    """What the user should know before the training starts."""
    param, found = document.message, list(document.notes)
    found += dict.fromkeys(note for plan in plans for note in plan.document.notes if note not in found)
    if not param.HasField("base_lr"):
        found.append(f"{document.source}: base_lr is not given: the rate is 0, nothing will be learned")
    if not param.HasField("max_iter"):
        found.append(f"{document.source}: max_iter is not given: it is 0, solve() does no iteration")
    if param.snapshot_diff:
        found.append(
            f"{document.where('snapshot_diff')}: snapshot_diff is ignored: snapshots hold weights, no gradients"
        )
    if param.debug_info:
        found.append(f"{document.where('debug_info')}: debug_info is ignored; use keep_blobs and net.blobs")
    return found


def _train_plan(document: Document, level: int, stages: Sequence[str], strict: bool) -> NetPlan:
    """The train net; ``level`` (unless 0) and ``stages`` come on top of the file's train_state."""
    param = document.message
    given = [name for name in NET_FIELDS if param.HasField(name)]
    if len(given) != 1:
        found = f"found {len(given)}: {', '.join(given)}" if given else "found none"
        place = document.where(given[1]) if given else document.source
        raise SolverError(f"{place}: the train net must be given by exactly one of {', '.join(NET_FIELDS)}; {found}")
    state = pb.NetState()
    state.CopyFrom(param.train_state)
    if level:
        state.level = level
    state.stage.extend(stage_names(stages))
    return _plan(_net_document(document, given[0], None, strict), "TRAIN", state)


def _test_plans(document: Document, strict: bool) -> list[NetPlan]:
    """The test nets: test_net_param, then test_net, then the shared net for each test_iter that is left."""
    param = document.message
    if param.HasField("net") and param.HasField("net_param"):
        raise _refuse(document, "net_param", "net and net_param are both given; accepted: one of them")
    sources: list[tuple[str, int | None]] = [("test_net_param", i) for i in range(len(param.test_net_param))]
    sources += [("test_net", i) for i in range(len(param.test_net))]
    shared = next((name for name in ("net_param", "net") if param.HasField(name)), None)
    left = len(param.test_iter) - len(sources)
    if left < 0 or (left > 0 and shared is None):
        raise _refuse(
            document, "test_iter",
            f"test_iter is given {len(param.test_iter)} time(s) for {len(sources)} test net(s); give it once for each"
            + (" (and once more to test on the train net's file)" if shared else ""),
        )  # fmt: skip
    sources += [(str(shared), None)] * left
    if param.test_state and len(param.test_state) != len(sources):
        raise _refuse(
            document, "test_state",
            f"test_state is given {len(param.test_state)} time(s) for {len(sources)} test net(s); accepted: none, or "
            "one for each",
        )  # fmt: skip
    if sources and param.test_interval <= 0:
        raise _refuse(
            document, "test_iter", "test_iter is given but test_interval is not; accepted: 1 or more iterations"
        )
    states = list(param.test_state) or [pb.NetState()] * len(sources)
    return [
        _plan(_net_document(document, name, index, strict), "TEST", state)
        for (name, index), state in zip(sources, states, strict=True)
    ]


def _plan(document: Document, phase: str, state: Any) -> NetPlan:
    """The net's own state, then the solver's, over the default phase, as Caffe merges them."""
    merged = pb.NetState(phase=pb.enum_value("Phase", phase))
    merged.MergeFrom(document.message.state)
    merged.MergeFrom(state)
    return NetPlan(document, pb.enum_name("Phase", merged.phase), merged.level, tuple(merged.stage))


def _net_document(document: Document, name: str, index: int | None, strict: bool) -> Document:
    if name.endswith("_param"):
        return document.sub(name) if index is None else document.sub(name, index)
    value = getattr(document.message, name)
    file = find_file(document, value if index is None else value[index])
    if not os.path.isfile(file):
        try:
            read_file(file)
        except PrototxtError as error:
            place = document.where(name) if index is None else document.where(name, index)
            raise SolverError(f"{place}: {name}: {error}") from error
    return read_net(file, strict=strict)


def find_file(document: Document, name: str) -> Path:
    """A file that the solver names: relative to the working directory, else to the solver's folder."""
    path = Path(name)
    beside = Path(document.source).parent / path
    return beside if not os.path.exists(path) and os.path.exists(beside) else path


def weight_files(document: Document, weights: Weights | None) -> list[Path]:
    """The files to start from: those of the solver's field ``weights``, then those given."""
    named = [find_file(document, str(path)) for path in weight_paths(list(document.message.weights))]
    return named + (weight_paths(weights) if weights else [])


def _refuse(document: Document, field: str, text: str) -> SolverError:
    return SolverError(f"{document.where(field)}: {text}")
