"""What the caller feeds a solver with, and what it then tells of an iteration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat import NetError, Solver, SolverError
from caffe_compat.solver.log import Log

NET = """
layer { name: "x" type: "Input" top: "x" top: "y" input_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "y" top: "loss" }
"""


def solver(more: str = "") -> Solver:
    rate = 'base_lr: 0.1 lr_policy: "step" stepsize: 2 gamma: 0.5'
    return Solver(f"net_param {{ {NET} }} {rate} max_iter: 9 random_seed: 1 {more}", log=lambda event: None)


def batches() -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    return [{"x": random.normal(size=(4, 3)), "y": random.normal(size=(4, 2))} for _ in range(4)]


def test_arrays_feed_as_tensors_do() -> None:
    arrays = batches()
    tensors = [{name: torch.from_numpy(array).float() for name, array in batch.items()} for batch in arrays]
    results = []
    for feed in (arrays, tensors):
        made = solver()
        made.step(4, feed=iter(feed).__next__)
        results.append(made.net.layer("fc").blobs[0].detach())
    assert torch.equal(*results)


@pytest.mark.parametrize(
    ("feed", "expected"),
    [
        ({"x": 1}, "solver.feed is a dict; accepted: a function"),
        (lambda: (1, 2), "solver.feed returned a tuple; accepted: a dict of tensors, .* for the inputs x, y"),
        (lambda: None, "solver.feed returned a NoneType"),
        (lambda: {"x": "text", "y": np.zeros((4, 2))}, "x is a str; accepted: a torch tensor, or a numpy array"),
        (lambda: {"x": np.zeros((4, 3))}, r"input\(s\) missing: y"),
    ],
)
def test_wrong_feeds(feed: Any, expected: str) -> None:
    with pytest.raises((SolverError, NetError), match=expected):
        solver().step(1, feed=feed)


def test_loss_and_rate_of_the_last_iteration() -> None:
    """With iter_size, the loss is the mean of the passes; ``net.loss`` is that of the last one alone."""
    made, feed, passes = solver("iter_size: 2"), iter(batches() * 2), list[float]()
    made.feed = lambda: next(feed)
    made.net.register_forward_hook(lambda net, args, out: passes.append(float(net.loss.detach())))
    for iteration in range(3):
        made.step(1)
        assert float(made.loss) == pytest.approx(sum(passes[-2:]) / 2)
        assert made.rate == pytest.approx([0.1, 0.1, 0.05][iteration])


@pytest.mark.parametrize("count", [-1, 1.5, "1", None])
def test_a_number_of_iterations(count: Any) -> None:
    with pytest.raises(SolverError, match="accepted: a whole number of iterations, 0 or more"):
        solver().step(count)


def test_solve_says_at_once_that_nobody_feeds_it() -> None:
    made, said = solver("snapshot_after_train: false"), list[Any]()
    made.log = Log(said.append)
    with pytest.raises(SolverError, match=r"^<text>:\d+:\d+: the TRAIN net .* \(x, y\).* data layers"):
        made.solve()
    assert not said
