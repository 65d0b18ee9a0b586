"""A solver's state out of it and into it: what ``Solver.snapshot`` and ``Solver.restore`` do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from caffe_compat.net import Net
from caffe_compat.proto import pb
from caffe_compat.solver import snapshot
from caffe_compat.solver.resume import resume, resume_message
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
    state.resume.CopyFrom(resume_message(_nets(solver), solver.seed, solver.losses.state, solver.ranks))
    if scale := solver.precision.state:
        state.resume.loss_scale, state.resume.loss_scale_age = scale
    if not solver.ranks.first:
        return path
    snapshot.check_prefix(solver.param.snapshot_prefix, solver.document.source)
    solver.log.snapshot(model, path)
    snapshot.write_snapshot(solver.net, state, solver.updater.history, model, path)
    return path


def restore(solver: Solver, path: str | os.PathLike[str]) -> None:
    """Read a state and its model; a state that does not fit the solver changes nothing. Raises SolverError."""
    solver.log.restoring(str(path))
    stored = snapshot.read_state(path)
    snapshot.check_history(path, stored.history, solver.updater.history, solver.param.type)
    load_weights(solver.net, stored.model)
    snapshot.copy_history(stored.history, solver.updater.history)
    solver.iter = stored.message.iter
    solver.schedule.current_step = stored.message.current_step
    if stored.message.HasField("resume"):
        saved = stored.message.resume
        resume(saved, _nets(solver), solver.seed, solver.ranks, solver.device)
        solver.seed = saved.random_seed
        solver.losses.restore(saved.recent_loss)
        if saved.HasField("loss_scale"):
            solver.precision.restore(saved.loss_scale, saved.loss_scale_age)


def _nets(solver: Solver) -> dict[str, Net]:
    """The names by which states know the nets."""
    return {"train": solver.net, **{f"test{index}": net for index, net in enumerate(solver.test_nets)}}
