"""One file through the stages: parse, build, train one step, export, match."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from caffe_compat.check.files import kind_of
from caffe_compat.check.substitute import candidates, data_layers
from caffe_compat.errors import CaffeCompatError

STAGES = ("parse", "build", "train", "export", "match")
Row = dict[str, Any]
Tell = Callable[[Row], None]


def blank_row(path: Path) -> Row:
    """A row in which no stage applies."""
    return {"path": str(path), "kind": "other", "layer_types": [], "unsupported": [], **dict.fromkeys(STAGES)}


def check_file(path: Path, tell: Tell = lambda row: None) -> Row:
    """Check one file; never raises for what is in it.

    Each stage is None where it does not apply, else {"ok", "message", "seconds"}; after a failure the later stages
    stay None. ``tell`` gets the unfinished row, with the stage under way in "stage", before every stage.
    """
    row = blank_row(path)
    check = _Check(row, tell)
    try:
        row["kind"] = kind_of(path)
        {"net": check.net, "solver": check.solver, "weights": check.weights, "other": check.other}[row["kind"]](path)
    except _Stop:
        pass
    return row


class _Stop(Exception):
    """A stage has failed; what it would have handed on does not exist."""


class _Check:
    """Runs stages and notes in the row how they went."""

    def __init__(self, row: Row, tell: Tell) -> None:
        self.row = row
        self.tell = tell

    def stage(self, name: str, work: Callable[[], tuple[Any, str]]) -> Any:
        """Run ``work``, which gives a result and a message. Raises _Stop when it fails."""
        self.tell({**self.row, "stage": name, "unfinished": True})
        start = time.perf_counter()
        result, ok = None, True
        try:
            result, message = work()
        except CaffeCompatError as error:
            ok, message = False, str(error)
        except Exception as error:  # the answer is "no, because", whatever a broken file sets off
            ok, message = False, f"{type(error).__name__}: {error}"
        self.row[name] = {"ok": ok, "message": message, "seconds": round(time.perf_counter() - start, 3)}
        if not ok:
            raise _Stop
        return result

    def net(self, path: Path) -> None:
        document = self.stage("parse", lambda: _read_net(path))
        self._types(document.message)
        self._through(document, path)

    def solver(self, path: Path) -> None:
        solver = self.stage("parse", lambda: _read_solver(path))
        document = self.stage("build", lambda: _solver_net(solver, path))
        self._types(document.message)
        self._through(document, path)

    def weights(self, path: Path) -> None:
        self.stage("parse", lambda: (None, _read_weights(path)))

    def other(self, path: Path) -> None:
        self.stage("parse", lambda: _read_net(path))

    def _types(self, net: Any) -> None:
        from caffe_compat.layers import LAYERS

        self.row["layer_types"] = sorted({layer.type for layer in net.layer})
        known = {layer.type for layer in data_layers(net)} | set(LAYERS)
        self.row["unsupported"] = [name for name in self.row["layer_types"] if name not in known]

    def _through(self, document: Any, path: Path) -> None:
        """Build, train, export, match; the stages after "train" do not depend on it."""
        net, substituted = self.stage("build", lambda: _build(document))
        if net.phase == "TRAIN":
            try:
                self.stage("train", lambda: _train(net))
            except _Stop:
                pass
        net = None
        exported = self.stage("export", lambda: _export(substituted))
        self.stage("match", lambda: (None, _match(*exported)))


def _read_net(path: Path) -> tuple[Any, str]:
    from caffe_compat.proto import read_net

    document = read_net(path)
    return document, "; ".join(document.notes)


def _read_solver(path: Path) -> tuple[Any, str]:
    from caffe_compat.proto import read_solver

    document = read_solver(path)
    return document, "; ".join(document.notes)


def _solver_net(solver: Any, path: Path) -> tuple[Any, str]:
    """The train net of a solver. Relative names count from the working directory, else the solver's folder."""
    from caffe_compat.proto import read_net
    from caffe_compat.solver.config import check_fields

    check_fields(solver)
    message = solver.message
    for field in ("net_param", "train_net_param"):
        if message.HasField(field):
            return solver.sub(field), f"the net is inside the solver ({field})"
    name = message.net or message.train_net
    found = next((p for p in (Path(name), path.parent / name, path.parent / Path(name).name) if p.is_file()), None)
    if found is None:
        raise CaffeCompatError(f"{path}: the net '{name}' is not here; looked in the working directory and {path.parent}")
    return read_net(found), f"net {found}"


def _read_weights(path: Path) -> str:
    from caffe_compat.proto import read_binary
    from caffe_compat.weights import read_caffemodel
    from caffe_compat.weights.mean import read_mean

    if path.suffix == ".binaryproto":
        return f"mean of shape {list(read_mean(path).shape)}"
    if path.suffix == ".solverstate":
        state = read_binary(path, "SolverState")
        return f"solver state of iteration {state.iter}, {len(state.history)} history blobs"
    net = read_caffemodel(path)
    count = sum(1 for layer in net.layer if layer.blobs)
    return f"weights of {count} layers of net '{net.name}'"


def _build(document: Any) -> tuple[tuple[Any, Any], str]:
    """The net in TRAIN if it has a loss there, else in TEST; data layers that cannot be opened become inputs."""
    if not data_layers(document.message):
        return (_in_phase(document), document), ""
    first: CaffeCompatError | None = None
    for candidate in candidates(document):
        try:
            net = _in_phase(candidate)
        except CaffeCompatError as error:
            first = first or error
            continue
        shapes = ", ".join(f"{name} {list(net.shapes[name])}" for name in net.inputs)
        return (net, candidate), f"data layers replaced by random inputs: {shapes}"
    assert first is not None
    raise first


def _in_phase(document: Any) -> Any:
    from caffe_compat.net import Net

    train = Net(document, "TRAIN", seed=1)
    if any(node.is_loss for node in train.nodes):
        return train
    del train
    return Net(document, "TEST", seed=1)


def _train(net: Any) -> tuple[None, str]:
    """Forward, backward, and the check that loss and gradients are numbers."""
    import torch

    torch.manual_seed(1)
    net(**random_inputs(net))
    loss = float(net.loss)
    if net.loss.requires_grad:
        net.loss.backward()
    grads = [p.tensor.grad for p in net.learnable if p.tensor.grad is not None]
    if not math.isfinite(loss) or not all(bool(torch.isfinite(grad).all()) for grad in grads):
        return None, f"loss {loss:g}; loss or gradients are not finite on random data"
    return None, f"loss {loss:g}, {len(grads)} gradients"


def random_inputs(net: Any) -> dict[str, Any]:
    """Uniform images from -1 to 1; zeros for what only losses and Accuracy read (labels)."""
    import torch

    readers: dict[str, list[Any]] = {}
    for node in net.nodes:
        for i, name in enumerate(node.bottoms):
            readers.setdefault(name, []).append((node.layer, i - len(node.bottoms), i))
    inputs = {}
    for name in net.inputs:
        marked = [bool({i, back} & set(layer.constant_bottoms)) for layer, back, i in readers.get(name, [])]
        shape = net.shapes[name]
        inputs[name] = torch.zeros(shape) if marked and all(marked) else torch.rand(shape) * 2 - 1
    return inputs


def _export(document: Any) -> tuple[tuple[Any, Any], str]:
    from caffe_compat.export.deploy import deploy_net
    from caffe_compat.export.lower import lower
    from caffe_compat.net import Net

    deployed = deploy_net(document)
    net = Net(deployed.document, "TEST", seed=1)
    lowered = lower(net)
    notes = [*deployed.notes, *lowered.notes]
    return (net, lowered.model), "; ".join([f"{len(lowered.model.graph.node)} nodes", *notes])


def _match(net: Any, model: Any) -> str:
    from caffe_compat.export.verify import verify

    report = verify(net, model)
    report.check()
    return str(report).splitlines()[0]
