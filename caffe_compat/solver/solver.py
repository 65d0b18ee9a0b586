"""The solver: trains a net as its solver file says. ``Solver.step`` is the loop, and reads from top to bottom."""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

import caffe_compat.data  # noqa: F401 - registers the sources of the data layers
from caffe_compat.errors import CaffeCompatError, SolverError
from caffe_compat.net import Net
from caffe_compat.proto import pb, read_solver
from caffe_compat.solver import config, snapshot
from caffe_compat.solver.log import Listener, Log
from caffe_compat.solver.policies import make_schedule
from caffe_compat.solver.resume import net_seed, resume, resume_message
from caffe_compat.solver.sharing import share_trained_layers
from caffe_compat.solver.signals import Signals
from caffe_compat.solver.smoothing import LossBuffer, SmoothedLoss
from caffe_compat.solver.updater import Updater
from caffe_compat.weights import load_weights
from caffe_compat.weights.load import Weights

Feed = Callable[[], Mapping[str, Tensor]]


class Solver:
    """Trains a net. ``Solver("solver.prototxt").solve()`` is ``caffe train``.

    path_or_text: the solver's prototxt, a file or its text. weights: files to start from. snapshot: a .solverstate to
    continue from. device: where the nets lie. level, stages: added to the train net's state. seed: instead of the
    file's random_seed. log: called with every ``log.Event``; default: prints Caffe's lines to stderr. strict: unknown
    fields of the files are errors.

    ``net``, ``test_nets``: the nets; the test nets use the train net's blobs. ``iter``: the number of updates done.
    ``feed``: gives the inputs of a train net with Input layers, called once per forward pass; ``test_feeds``: the same
    for test nets, by index. ``action``: asked after every iteration, may return "stop" or "snapshot".

    On one machine with one number of threads, two runs with one seed are equal bit for bit, and so is a run that is
    continued from a snapshot. Raises SolverError, PrototxtError, NetError, DataError, WeightsError.
    """

    def __init__(
        self,
        path_or_text: str | os.PathLike[str],
        weights: Weights | None = None,
        device: str | torch.device = "cpu",
        level: int = 0,
        stages: Sequence[str] = (),
        seed: int | None = None,
        log: Listener | None = None,
        snapshot: str | os.PathLike[str] | None = None,
        strict: bool = False,
    ) -> None:
        if weights and snapshot:
            raise SolverError(
                "weights and snapshot are both given; accepted: a snapshot to continue, or weights to start"
            )
        self.document = read_solver(path_or_text, strict=strict)
        self.param = self.document.message
        config.check_solver(self.document)
        plans = [
            config.train_plan(self.document, level, stages, strict),
            *config.test_plans(self.document, strict),
        ]
        self._check_prefix(self.param.snapshot > 0)
        self.log = Log(log)
        self.seed = self._choose_seed(seed)
        torch.manual_seed(self.seed)
        self.device = torch.device(device)
        self.net, *self.test_nets = [
            Net(plan.document, plan.phase, plan.level, plan.stages, self.device, net_seed(self.seed, index))
            for index, plan in enumerate(plans)
        ]
        for test_net in self.test_nets:
            share_trained_layers(self.net, test_net)
        self.iter = 0
        self.stopped = False
        self.feed: Feed | None = None
        self.test_feeds: dict[int, Feed] = {}
        self.action: Callable[[], str | None] = _no_action
        self.schedule = make_schedule(self.param)
        self.updater = Updater(self.net.learnable, self.param)
        self._losses = LossBuffer(self.device)
        self._smoothed = SmoothedLoss(self.param.average_loss)
        self._continued = False
        self._warned = False
        self._displayed = 0
        for note in config.notes(self.document) + [note for plan in plans[:1] for note in plan.document.notes]:
            self.log.note(note, "W")
        for files in [*self.param.weights, *([weights] if weights else [])]:
            self.log.note(str(load_weights(self.net, files)))
        if snapshot:
            self.restore(snapshot)

    # ---- the loop

    def step(self, iterations: int, feed: Feed | None = None) -> None:
        """Do so many iterations: each one update from the gradients of ``iter_size`` forward and backward passes."""
        self.feed = feed or self.feed
        self.stopped = False
        stop = self.iter + iterations
        self._start_smoothing()
        self._started = time.perf_counter()
        while self.iter < stop:
            self.updater.clear()
            if self._due(self.param.test_interval) and (self.iter > 0 or self.param.test_initialization):
                self.test_all()
                if self.stopped:
                    break
            display = self._due(self.param.display)
            outputs = self._forward_backward()
            if display:
                self._display(outputs)
            self._update(display)
            self.iter += 1
            request = self.action()
            if self._due(self.param.snapshot) or request == "snapshot":
                self._try_snapshot()
            if request == "stop":
                self.stopped = True
                break
        self._settle_losses()

    def solve(self, sigint_effect: str = "stop", sighup_effect: str = "snapshot") -> None:
        """Train up to ``max_iter``, snapshot, test, as ``caffe train``; signals: "stop", "snapshot" or "none".

        Sets ``stopped`` where a signal ended it early. Raises CaffeCompatError at the end where the last snapshot
        could not be written.
        """
        self._check_prefix(self.param.snapshot_after_train)
        self.log.solving(self.net.name, self.param.lr_policy)
        failure = None
        before = self.action
        with Signals(sigint_effect, sighup_effect) as signals:
            self.action = signals.request
            try:
                self.step(self.param.max_iter - self.iter)
                if self.param.snapshot_after_train and not (self.iter and self._due(self.param.snapshot)):
                    failure = self._try_snapshot()
                if not self.stopped:
                    self._final_pass()
            finally:
                self.action = before
        self.log.done(self.stopped)
        if failure is not None:
            raise failure

    def test_all(self) -> list[dict[str, list[float]]]:
        """Run every test net; per net its outputs' values, averaged over ``test_iter`` passes."""
        return [self._test(index) for index in range(len(self.test_nets)) if not self.stopped]

    # ---- one iteration

    def _forward_backward(self) -> dict[str, Tensor]:
        """The passes of an iteration; gradients add up. The outputs of the last pass."""
        losses = []
        for _ in range(self.param.iter_size):
            outputs = self.net(**self._inputs(self.net, self.feed))
            loss = self.net.loss
            if loss.requires_grad:
                loss.backward()
            losses.append(loss.detach())
        self._losses.add(losses)
        if self._losses.full:
            self._settle_losses()
        return outputs

    def _update(self, display: bool) -> None:
        step = self.schedule.current_step
        rate = self.schedule.rate(self.iter)
        if self.schedule.policy == "multistep" and self.schedule.current_step != step:
            self.log.multistep(self.iter, self.schedule.current_step)
        if display:
            self.log.lr(self.iter, rate)
        self.updater.apply(rate, self.iter)
        if display and self.updater.clip_norm is not None and self.updater.clip_norm > self.updater.clip:
            self.log.clip(float(self.updater.clip_norm), self.updater.clip)

    def _inputs(self, net: Net, feed: Feed | None) -> dict[str, Tensor]:
        """What the net's Input layers are fed with, on the device."""
        if not net.inputs:
            return {}
        if feed is None:
            raise SolverError(
                f"the {net.phase} net has Input layers ({', '.join(net.inputs)}), and nobody feeds them; set solver.feed "
                "(solver.test_feeds[i] for test net i) to a function that returns a dict of tensors"
            )
        return {name: blob.to(self.device, non_blocking=True) for name, blob in feed().items()}

    def _due(self, interval: int) -> bool:
        return bool(interval) and self.iter % interval == 0

    # ---- telling

    def _display(self, outputs: dict[str, Tensor]) -> None:
        self._settle_losses()
        seconds = time.perf_counter() - self._started
        per_second = (self.iter - self._displayed) / (seconds or 1.0)
        self.log.train_loss(self.iter, float(self._smoothed.average), per_second, seconds, self.param.display)
        self._started, self._displayed = time.perf_counter(), self.iter
        self._tell_outputs(self.net, "train", {name: top.flatten().tolist() for name, top in outputs.items()})

    def _tell_outputs(self, net: Net, phase: str, outputs: Mapping[str, Sequence[float]]) -> None:
        weights = {
            name: weight for node in net.nodes for name, weight in zip(node.tops, node.loss_weights, strict=True)
        }
        values = [(name, value) for name, top in outputs.items() for value in top]
        for index, (name, value) in enumerate(values):
            self.log.output(phase, index, name, value, weights[name])

    def _start_smoothing(self) -> None:
        """Every call of ``step`` averages anew, as in Caffe, but for the first after our own snapshot was restored."""
        if not self._continued:
            self._smoothed = SmoothedLoss(self.param.average_loss)
        self._continued = False

    def _settle_losses(self) -> None:
        """Read the losses that wait on the device."""
        losses = self._losses.take()
        for loss in losses:
            self._smoothed.add(loss)
        if not self._warned and not all(map(math.isfinite, losses)):
            self._warned = True
            bad = next(loss for loss in losses if not math.isfinite(loss))
            self.log.note(
                f"the loss became {bad:g} at or before iteration {self.iter}; the training goes on as in Caffe, but will "
                "hardly recover: lower base_lr, set clip_gradients, or check the data",
                "W",
            )

    def _test(self, index: int) -> dict[str, list[float]]:
        net, passes = self.test_nets[index], self.param.test_iter[index]
        self.log.testing(self.iter, index)
        share_trained_layers(self.net, net)
        sums: dict[str, Tensor] = {}
        loss = torch.zeros((), device=self.device)
        with torch.no_grad():
            for _ in range(passes):
                self._heed_requests()
                if self.stopped:
                    self.log.test_interrupted()
                    return {}
                outputs = net(**self._inputs(net, self.test_feeds.get(index)))
                loss += net.loss
                sums = {name: sums[name] + top if name in sums else top.clone() for name, top in outputs.items()}
        if self.param.test_compute_loss:
            self.log.test_loss(float(loss) / passes if passes else math.nan)
        means = {name: (total / passes).flatten().tolist() for name, total in sums.items()}
        self._tell_outputs(net, "test", means)
        return means

    def _heed_requests(self) -> None:
        """What is asked for during a test."""
        while request := self.action():
            if request == "snapshot":
                self._try_snapshot()
            else:
                self.stopped = True

    def _final_pass(self) -> None:
        """Caffe's last look at the loss and at the test nets, after the last update."""
        if self._due(self.param.display):
            with torch.no_grad():
                self.net(**self._inputs(self.net, self.feed))
            self._losses.add([self.net.loss])
            self._settle_losses()
            self.log.loss(self.iter, float(self._smoothed.average))
        if self._due(self.param.test_interval):
            self.test_all()

    # ---- snapshots

    def snapshot(self) -> str:
        """Write ``PREFIX_iter_N.caffemodel`` and ``.solverstate``; the path of the latter. Raises CaffeCompatError."""
        self._check_prefix(True)
        self._settle_losses()
        model, state = snapshot.snapshot_paths(self.param.snapshot_prefix, self.iter)
        message = pb.SolverState(iter=self.iter, learned_net=model, current_step=self.schedule.current_step)
        message.resume.CopyFrom(resume_message(self._nets(), self.seed, self._smoothed.state))
        self.log.snapshot(model, state)
        snapshot.write_snapshot(self.net, message, self.updater.history, model, state)
        return state

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Continue from a .solverstate, of Caffe or of ours; its .caffemodel is loaded. Raises SolverError.

        Ours continues bit for bit; from Caffe's the data starts at the first row, as in Caffe.
        """
        self.log.restoring(str(path))
        stored = snapshot.read_state(path)
        snapshot.check_history(path, stored.history, self.updater.history, self.param.type)
        load_weights(self.net, stored.model)
        snapshot.copy_history(stored.history, self.updater.history)
        self.iter = self._displayed = stored.message.iter
        self.schedule.current_step = stored.message.current_step
        if stored.message.HasField("resume"):
            resume(stored.message.resume, self._nets(), self.seed)
            self.seed = stored.message.resume.random_seed
            self._smoothed = SmoothedLoss(self.param.average_loss, stored.message.resume.recent_loss)
            self._continued = True

    def _nets(self) -> dict[str, Net]:
        return {"train": self.net, **{f"test{index}": net for index, net in enumerate(self.test_nets)}}

    def _try_snapshot(self) -> CaffeCompatError | None:
        """A snapshot in the course of the training, which a full disk must not end."""
        try:
            self.snapshot()
        except CaffeCompatError as error:
            self.log.note(f"no snapshot at iteration {self.iter}: {error}; the training goes on", "W")
            return error
        return None

    def _check_prefix(self, wanted: bool) -> None:
        if not wanted:
            return
        if not self.param.snapshot_prefix:
            raise SolverError(
                f"{self.document.source}: a snapshot is to be written, but snapshot_prefix is not given; give the start of "
                "the file names, or set snapshot_after_train: false"
            )
        snapshot.check_writable(self.param.snapshot_prefix)

    def _choose_seed(self, seed: int | None) -> int:
        """The given seed, else the file's; where that is negative, one is drawn and told."""
        chosen = int(self.param.random_seed if seed is None else seed)
        if chosen >= 0:
            return chosen
        drawn = secrets.randbelow(2**31)
        self.log.note(f"random_seed {drawn} was drawn; write 'random_seed: {drawn}' to repeat this run")
        return drawn


def _no_action() -> str | None:
    return None
