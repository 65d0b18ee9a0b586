"""The solver: trains a net as its solver file says. ``Solver.step`` is the loop, and reads from top to bottom."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

import caffe_compat.data  # noqa: F401 - registers the sources of the data layers
from caffe_compat.errors import CaffeCompatError, SolverError
from caffe_compat.proto import Document, read_solver
from caffe_compat.solver import config, state
from caffe_compat.solver.compiled import Passes
from caffe_compat.solver.distributed import REQUESTS, Ranks
from caffe_compat.solver.feeding import Feed, check_feed, fed_inputs
from caffe_compat.solver.log import Listener, Log
from caffe_compat.solver.losses import LossMeter
from caffe_compat.solver.nets import build_nets, current_device
from caffe_compat.solver.policies import make_schedule
from caffe_compat.solver.precision import Precision
from caffe_compat.solver.sharing import share_trained_layers
from caffe_compat.solver.signals import Signals
from caffe_compat.solver.snapshot import check_prefix
from caffe_compat.solver.testing import Means, run_test
from caffe_compat.solver.updater import Updater
from caffe_compat.weights import hdf5, load_weights
from caffe_compat.weights.load import Weights


class Solver:
    """Trains a net. ``Solver("solver.prototxt").solve()`` is ``caffe train``.

    path_or_text: the solver's prototxt, a file, its text, or what ``read_solver`` returns. weights: files to start
    from. snapshot: a .solverstate to continue from. device: where the nets lie. level, stages: added to the train
    net's state. seed: instead of the file's random_seed. log: called with every ``log.Event``; default: prints
    Caffe's lines to stderr. strict: unknown fields of the files are errors. channels_last: how convolutions keep their
    blobs in memory, often faster; but torch's sums over such blobs round more coarsely on the CPU. precision: fp32,
    tf32, bf16 or fp16 (``Precision``); compile, cuda_graphs: how the train net runs (``Passes``). ranks: processes
    that train together (``Ranks``); each makes its own Solver.

    ``net``, ``test_nets``: the nets; the test nets use the train net's blobs. ``iter``: the number of updates done.
    ``loss``, ``rate``: those of the last iteration. ``feed``: gives the inputs of a train net with Input layers (a dict
    of tensors or numpy arrays), called once per forward pass; ``test_feeds``: the same for test nets, by index.
    ``action``: asked after every iteration and in tests, may return "stop" or "snapshot". ``callbacks``: functions that
    are called with the solver after every iteration.

    On the CPU of one machine with one number of threads, two runs with one seed are equal bit for bit (the seed is
    given to torch's global generator), and so is a run that is continued from a snapshot. Raises SolverError,
    PrototxtError, NetError, DataError, WeightsError.
    """

    def __init__(
        self,
        path_or_text: str | os.PathLike[str] | Document,
        weights: Weights | None = None,
        device: str | torch.device = "cpu",
        level: int = 0,
        stages: Sequence[str] = (),
        seed: int | None = None,
        log: Listener | None = None,
        snapshot: str | os.PathLike[str] | None = None,
        strict: bool = False,
        channels_last: bool = False,
        precision: str = "fp32",
        compile: bool = False,
        cuda_graphs: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        if weights and snapshot:
            raise SolverError("weights and snapshot are both given; accepted: one of them, to start or to continue")
        self.document = path_or_text if isinstance(path_or_text, Document) else read_solver(path_or_text, strict=strict)
        self.param = self.document.message
        self.ranks = ranks or Ranks()
        plans = config.check_solver(self.document, level, stages, strict)
        self._check_prefix(self.param.snapshot > 0)
        self.log = Log(log if self.ranks.first else lambda event: None)
        seed, drawn = config.choose_seed(self.param, seed)
        self.log.notes(config.notes(self.document, plans) + [drawn] * bool(drawn))
        self.seed = self.ranks.same(seed)
        torch.manual_seed(self.seed + self.ranks.index)
        self.device = current_device(device)
        self.net, self.test_nets = build_nets(plans, self.seed, self.device, channels_last, self.ranks)
        if state.writes_hdf5(self):
            hdf5.check_names(self.net)
        self.iter = 0
        self.rate = 0.0
        self.stopped = False
        self.feed: Feed | None = None
        self.test_feeds: dict[int, Feed] = {}
        self.action: Callable[[], str | None] = lambda: None
        self.callbacks: list[Callable[[Solver], None]] = []
        self.schedule = make_schedule(self.param)
        self.updater = Updater(self.net.learnable, self.param)
        self.losses = LossMeter(self.param.average_loss, self.device, self.log.not_finite, self.ranks)
        self.precision = Precision(precision, self.net, self.device)
        self.passes = Passes(self.net, self.precision, compile, cuda_graphs, self.log.notes)
        self._failure: CaffeCompatError | None = None
        self._saved = -1  # the iteration of the last snapshot
        self._resume: Any = None  # during tests: what a snapshot then goes on with, which is their beginning
        for path in config.weight_files(self.document, weights):
            self.log.loaded(str(path), load_weights(self.net, path))
        if snapshot:
            self.restore(snapshot)
        self.ranks.equalize([entry.tensor for entry in self.net.learnable])

    # ---- the loop

    def step(self, iterations: int, feed: Feed | None = None) -> None:
        """Do so many iterations: each one update from the gradients of ``iter_size`` forward and backward passes.

        ``loss`` is then the loss of the last one, ``rate`` its learning rate.
        """
        if not isinstance(iterations, int) or iterations < 0:
            raise SolverError(f"step({iterations!r}); accepted: a whole number of iterations, 0 or more")
        self.feed = feed or self.feed
        self.stopped, self._saved = False, -1
        self.losses.start()
        self._started, self._displayed = time.perf_counter(), self.iter
        stop = self.iter + iterations
        while self.iter < stop:
            self.updater.clear(self.passes.keeps_gradients)
            if self._due(self.param.test_interval) and (self.iter > 0 or self.param.test_initialization):
                self._resume = state.resume_state(self)
                self.test_all()
                if self.stopped:
                    break
                self._resume = None
            display = self._due(self.param.display)
            outputs = self._forward_backward()
            if display:
                self._display(outputs)
            self._update(display)
            self.iter += 1
            for callback in self.callbacks:
                callback(self)
            request = self.ranks.agree(self._requested())
            if self._due(self.param.snapshot) or request == "snapshot":
                self._try_snapshot()
            if request == "stop" or self.stopped:
                self.stopped = True
                break

    def solve(self, sigint_effect: str = "stop", sighup_effect: str = "snapshot") -> None:
        """Train up to ``max_iter``, snapshot, test, as ``caffe train``; signals: "stop", "snapshot" or "none".

        ``stopped`` says whether a signal ended it early. Raises CaffeCompatError at the end where the last snapshot
        could not be written.
        """
        self._check_prefix(self.param.snapshot_after_train)
        check_feed(self.net, self.feed)
        if self.iter >= self.param.max_iter > 0:
            self.log.solved(self.iter, self.param.max_iter)
        self.log.solving(self.net.name, self.param.lr_policy)
        self._failure, before = None, self.action
        with Signals(sigint_effect, sighup_effect) as signals:
            self.action = signals.request
            try:
                self.step(self.param.max_iter - self.iter)
                if self.param.snapshot_after_train and not self._due(self.param.snapshot):
                    self._try_snapshot()
                if not self.stopped:
                    self._final_pass()
            finally:
                self.action = before
        self.log.done(self.stopped)
        if self._failure is not None:
            raise self._failure

    def test_all(self) -> list[Means]:
        """Run every test net; for each its outputs' values, averaged over ``test_iter`` passes."""
        self.stopped = False
        return [self._test(index) for index in range(len(self.test_nets)) if not self.stopped]

    def snapshot(self) -> str:
        """Write ``PREFIX_iter_N.caffemodel`` and ``.solverstate``; the path of the latter. Raises CaffeCompatError."""
        return state.take_snapshot(self)

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Continue from a .solverstate, of Caffe or of ours; its .caffemodel is loaded. Raises SolverError.

        Ours continues bit for bit; from Caffe's the data starts at the first row, as in Caffe.
        """
        state.restore(self, path)

    @property
    def loss(self) -> Tensor:
        """The loss of the last iteration, the mean over its ``iter_size`` passes: a scalar, on the device."""
        return self.losses.last

    # ---- parts of an iteration

    def _forward_backward(self) -> dict[str, Tensor]:
        """The passes of an iteration, whose gradients add up; the outputs of the last pass."""
        losses = []
        for _ in range(self.param.iter_size):
            outputs, loss = self.passes(fed_inputs(self.net, self.feed, self.device))
            losses.append(loss)
        self.losses.add(self.iter, losses)
        return outputs

    def _update(self, display: bool) -> None:
        step = self.schedule.current_step
        rate = self.schedule.rate(self.iter)
        if self.schedule.policy == "multistep" and self.schedule.current_step != step:
            self.log.multistep(self.iter, self.schedule.current_step)
        if display:
            self.log.lr(self.iter, rate)
        self.rate = rate
        gradients = self.updater.gradients
        self.ranks.average(gradients)
        self.updater.apply(rate, self.iter, skip=self.precision.unscale(gradients))
        if display and self.updater.clip_norm is not None and self.updater.clip_norm > self.updater.clip:
            self.log.clip(float(self.updater.clip_norm), self.updater.clip)

    def _display(self, outputs: Mapping[str, Tensor]) -> None:
        average = self.losses.average
        seconds = time.perf_counter() - self._started
        per_second = (self.iter - self._displayed) / (seconds or 1.0)
        self.log.train_loss(self.iter, average, per_second, seconds, self.param.display)
        self._started, self._displayed = time.perf_counter(), self.iter
        self.log.outputs(self.net, "train", {name: top.flatten().tolist() for name, top in outputs.items()})

    def _test(self, index: int) -> Means:
        net = self.test_nets[index]
        inputs = partial(fed_inputs, net, self.test_feeds.get(index), self.device)
        self.log.testing(self.iter, index)
        share_trained_layers(self.net, net)
        scores = run_test(net, self.param.test_iter[index], inputs, self._heed_requests)
        if scores is None:
            self.log.test_interrupted()
            return {}
        if self.param.test_compute_loss:
            self.log.test_loss(scores.loss)
        self.log.outputs(net, "test", scores.outputs)
        return scores.outputs

    def _final_pass(self) -> None:
        """Caffe's last look at the loss and at the test nets, after the last update."""
        self._resume = state.resume_state(self)
        if self._due(self.param.display):
            with torch.no_grad():
                self.net(**fed_inputs(self.net, self.feed, self.device))
            self.losses.add(self.iter, [self.net.loss])
            self.log.loss(self.iter, self.losses.average)
        if self._due(self.param.test_interval):
            self.test_all()
        self._resume = None

    def _due(self, interval: int) -> bool:
        return bool(interval) and self.iter % interval == 0

    def _heed_requests(self) -> bool:
        """What is asked for during a test; whether to stop. Several ranks heed it after their next iteration."""
        request = self._requested() if self.ranks.count == 1 else None
        if request == "snapshot" and self._saved != self.iter:
            self._try_snapshot()
        self.stopped = self.stopped or request == "stop"
        return self.stopped

    def _requested(self) -> str | None:
        request = self.action()
        if request not in REQUESTS:
            raise SolverError(f"the solver's action asks for {request!r}; accepted: None, 'snapshot', 'stop'")
        return request

    def _try_snapshot(self) -> None:
        """A snapshot in the course of the training, which a full disk must not end."""
        try:
            self.snapshot()
            self._failure, self._saved = None, self.iter
        except CaffeCompatError as error:
            note = f"no snapshot at iteration {self.iter}: {error}; older snapshots stay, and the training goes on"
            self.log.notes([note])
            self._failure = error

    def _check_prefix(self, wanted: bool) -> None:
        if wanted and self.ranks.first:
            check_prefix(self.param.snapshot_prefix, self.document.source)
