"""A solver's state out of it and into it: what ``Solver.snapshot`` and ``Solver.restore`` do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from caffe_compat.errors import SolverError
from caffe_compat.net import Net
from caffe_compat.proto import pb
from caffe_compat.solver import snapshot
from caffe_compat.solver.resume import resume, resume_message
from caffe_compat.solver.updates import RULES
from caffe_compat.weights import load_weights

if TYPE_CHECKING:
    from caffe_compat.solver.solver import Solver


def writes_hdf5(solver: Solver) -> bool:
    """Whether the solver's file asks for HDF5."""
    return pb.enum_name("SolverParameter.SnapshotFormat", solver.param.snapshot_format) == "HDF5"


def take_snapshot(solver: Solver) -> str:
    """Write model and state of the solver's iteration; the path of the state. Raises CaffeCompatError.

    All ranks call it, the first one writes.
    """
    model, path = snapshot.snapshot_paths(solver.param.snapshot_prefix, solver.iter, writes_hdf5(solver))
    state = pb.SolverState(iter=solver.iter, learned_net=model, current_step=solver.schedule.current_step)
    state.resume.CopyFrom(solver._resume or resume_state(solver))
    if not solver.ranks.first:
        return path
    snapshot.check_prefix(solver.param.snapshot_prefix, solver.document.source)
    solver.log.snapshot(model, path)
    snapshot.write_snapshot(solver.net, state, solver.updater.history, model, path)
    return path


def resume_state(solver: Solver) -> Any:
    """Our part of a state, a ResumeState: where the solver goes on. All ranks make it together."""
    message = resume_message(_nets(solver), solver.seed, solver.losses.state, solver.ranks)
    message.solver_type = solver.param.type
    if scale := solver.precision.state:
        message.loss_scale, message.loss_scale_age = scale
    return message


def restore(solver: Solver, path: str | os.PathLike[str]) -> None:
    """Read a state and its model; a state that does not fit the solver changes nothing. Raises SolverError."""
    solver.log.restoring(str(path))
    stored = snapshot.read_state(path)
    solver.log.notes(_check_type(path, stored.message.resume.solver_type, solver.param.type))
    snapshot.check_history(path, stored.history, solver.updater.history, solver.param.type)
    report = load_weights(solver.net, stored.model)
    if report.ignored or report.untouched:
        solver.log.notes([f"{path}: its weights {stored.model} are not of this net: {report}"])
    snapshot.copy_history(stored.history, solver.updater.history)
    solver._resume, solver._saved = None, -1
    solver.iter = stored.message.iter
    solver.schedule.current_step = stored.message.current_step
    if stored.message.HasField("resume"):
        saved = stored.message.resume
        resume(saved, _nets(solver), solver.seed, solver.ranks, solver.device)
        solver.seed = saved.random_seed
        solver.losses.restore(saved.recent_loss)
        if saved.HasField("loss_scale"):
            solver.precision.restore(saved.loss_scale, saved.loss_scale_age)


def _check_type(path: str | os.PathLike[str], written: str, kind: str) -> list[str]:
    """A note where another type of solver wrote the state. Raises SolverError where its history is another thing.

    Caffe's states do not tell the type.
    """
    if written in ("", kind):
        return []
    text = f"{path} was written by a solver of type {written}, this one is {kind}"
    if written in RULES and RULES[written].history == RULES[kind].history:
        return [f"{text}: it goes on with {written}'s history"]
    raise SolverError(
        f'{text}, whose history is another; resume with type: "{written}", or start from its weights with --weights '
        "(in Python: weights=)"
    )


def _nets(solver: Solver) -> dict[str, Net]:
    """The names by which states know the nets."""
    return {"train": solver.net, **{f"test{index}": net for index, net in enumerate(solver.test_nets)}}
