"""One file through the stages: parse, build, train one step, export, match."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from caffe_compat.check.files import MISSING, kind_of
from caffe_compat.check.substitute import candidates, data_layers, stages_of, writing_into
from caffe_compat.errors import CaffeCompatError
from caffe_compat.files import is_device, reason

STAGES = ("parse", "build", "train", "export", "match")
Row = dict[str, Any]
Tell = Callable[[Row], None]


def blank_row(path: Path) -> Row:
    """A row in which no stage applies."""
    return {"path": str(path), "kind": "other", "layer_types": [], "unsupported": [], **dict.fromkeys(STAGES)}


def check_file(path: Path, tell: Tell = lambda row: None) -> Row:
    """Check one file; never raises because of what is in it.

    Each stage is None where it does not apply, else {"ok", "message", "seconds"}; after a failure the later stages
    stay None. ``tell`` gets the unfinished row, with the stage under way in "stage", before every stage.
    """
    row = blank_row(path)
    check = _Check(row, tell)
    try:
        check.there(path)
        row["kind"] = kind_of(path)
        {"net": check.net, "solver": check.solver, "weights": check.weights, "other": check.other}[row["kind"]](path)
    except _StageFailedError:
        pass
    return row


class _StageFailedError(Exception):
    """A stage has failed; what it would have handed on does not exist."""


class _Check:
    """Runs stages and notes in the row how they went."""

    def __init__(self, row: Row, tell: Tell) -> None:
        self.row = row
        self.tell = tell

    def stage(self, name: str, work: Callable[[], tuple[Any, str]]) -> Any:
        """Run ``work``, which gives a result and a message. Raises _StageFailedError when it fails."""
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
            raise _StageFailedError
        return result

    def there(self, path: Path) -> None:
        """A file that is not there, or cannot be opened, is the failure of its parse."""
        if is_device(path):
            self._not_opened("a device, not a file")
        try:
            if not path.is_fifo():  # opening that would wait for its writer
                os.close(os.open(path, os.O_RDONLY))
        except OSError as error:
            self._not_opened(reason(error) if os.path.exists(path) else MISSING)

    def _not_opened(self, message: str) -> NoReturn:
        self.row["parse"] = {"ok": False, "message": message, "seconds": 0.0}
        raise _StageFailedError

    def net(self, path: Path) -> None:
        document = self.stage("parse", lambda: _read_net(path))
        self._types(document.message)
        self._through(document)

    def solver(self, path: Path) -> None:
        solver = self.stage("parse", lambda: _read_solver(path))
        net = _net_of(solver, path)
        if net is None:
            self.row["parse"]["message"] += f"the net '{solver.message.net or solver.message.train_net}' is not here"
            return
        document = self.stage("build", lambda: _solver_net(solver, net))
        self._types(document.message)
        self._through(document)

    def weights(self, path: Path) -> None:
        self.stage("parse", lambda: (None, _read_weights(path)))

    def other(self, path: Path) -> None:
        """Well-formed text that is neither a net nor a solver: the message says so."""
        self.stage("parse", lambda: _read_net(path))

    def _types(self, net: Any) -> None:
        from caffe_compat.layers import LAYERS

        self.row["layer_types"] = sorted({layer.type for layer in net.layer})
        known = {layer.type for layer in data_layers(net)} | set(LAYERS)
        self.row["unsupported"] = [name for name in self.row["layer_types"] if name not in known]

    def _through(self, document: Any) -> None:
        """Build, train, export, match; the stages after "train" do not depend on it."""
        with tempfile.TemporaryDirectory() as folder:
            harmless = writing_into(document, folder)
            net, shapes = self.stage("build", lambda: _build(harmless))
            if net.phase == "TRAIN":
                with contextlib.suppress(_StageFailedError):
                    self.stage("train", lambda: _train(net))
            net = None
            exported = self.stage("export", lambda: _export(harmless, shapes))
            self.stage("match", lambda: (None, _match(*exported)))


def _read_net(path: Path) -> tuple[Any, str]:
    from caffe_compat.proto import read_net

    document = read_net(path, tolerant=True)
    return document, "; ".join(document.faults + document.notes)


def _read_solver(path: Path) -> tuple[Any, str]:
    from caffe_compat.proto import read_solver

    document = read_solver(path, tolerant=True)
    return document, "; ".join(document.faults + document.notes)


def _net_of(solver: Any, path: Path) -> Path | str | None:
    """The file of a solver's train net, or the field that holds it; None when it is not here.

    Relative names count from the working directory, else from the solver's folder.
    """
    for field in ("net_param", "train_net_param"):
        if solver.message.HasField(field):
            return field
    name = solver.message.net or solver.message.train_net
    places = (Path(name), path.parent / name, path.parent / Path(name).name)
    return next((place for place in places if name and place.is_file()), None)


def _solver_net(solver: Any, net: Path | str) -> tuple[Any, str]:
    from caffe_compat.proto import read_net
    from caffe_compat.solver.config import check_fields

    solver.refuse_faults()
    check_fields(solver)
    if isinstance(net, str):
        return solver.sub(net), f"the net is inside the solver ({net})"
    return read_net(net, tolerant=True), f"net {net}"


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


def _build(document: Any) -> tuple[tuple[Any, dict[str, tuple[int, ...]]], str]:
    """The net with inputs in the place of data layers, and the shapes of these inputs."""
    document.refuse_faults()
    if not data_layers(document.message):
        return (_in_phase(document), {}), ""
    first: CaffeCompatError | None = None
    for candidate in candidates(document):
        try:
            net = _in_phase(candidate)
        except CaffeCompatError as error:
            first = first or error
            continue
        shapes = {name: net.shapes[name] for name in net.inputs}
        told = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        return (net, shapes), f"data layers replaced by random inputs: {told}"
    assert first is not None
    raise first


def _in_phase(document: Any) -> Any:
    """The net in TRAIN if it is fed and has a loss there, else in TEST; with the first stage that makes it whole."""
    from caffe_compat.net import Net

    first: CaffeCompatError | None = None
    for phase in ("TRAIN", "TEST"):
        for stage in stages_of(document.message):
            try:
                net = Net(document, phase, stages=stage, seed=1)
            except CaffeCompatError as error:
                first = first or error
                continue
            if phase == "TEST" or any(node.is_loss for node in net.nodes):
                return net
    assert first is not None
    raise first


def _train(net: Any) -> tuple[None, str]:
    """Forward, backward, and the check that loss and gradients are numbers."""
    import torch

    torch.manual_seed(1)
    net(**random_inputs(net))
    loss = float(net.loss.detach())
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


def _export(document: Any, shapes: dict[str, tuple[int, ...]]) -> tuple[tuple[Any, Any], str]:
    from caffe_compat.export.deploy import deploy_net
    from caffe_compat.export.lower import lower
    from caffe_compat.net import Net

    first: CaffeCompatError | None = None
    for stage in stages_of(document.message):
        try:
            deployed = deploy_net(document, stages=stage, input_shapes=shapes)
            net = Net(deployed.document, "TEST", stages=stage, seed=1)
        except CaffeCompatError as error:
            first = first or error
            continue
        lowered = lower(net)
        notes = [*deployed.notes, *lowered.notes]
        return (net, lowered.model), "; ".join([f"{len(lowered.model.graph.node)} nodes", *notes])
    assert first is not None
    raise first


def _match(net: Any, model: Any) -> str:
    from caffe_compat.export.verify import verify

    report = verify(net, model)
    report.check()
    return str(report).splitlines()[0]
