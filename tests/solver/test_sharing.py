"""A test net on the blobs of the train net, where these are shared inside the net as well."""

from __future__ import annotations

import torch

from tests.solver.making import Run

SOLVER = """
net_param {
  layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 } } }
  layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" } param { name: "b" }
    inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
  layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" } param { name: "b" }
    inner_product_param { num_output: 4 } }
  layer { name: "r" type: "Reshape" bottom: "b" top: "r" reshape_param { shape { dim: 0 dim: 2 dim: -1 } } }
  layer { name: "c" type: "InnerProduct" bottom: "r" top: "c" param { name: "w" share_mode: PERMISSIVE }
    inner_product_param { num_output: 8 axis: 2 bias_term: false } }
  layer { name: "loss" type: "Power" bottom: "c" top: "loss" loss_weight: 1 power_param { power: 2 } }
}
base_lr: 0.01 lr_policy: "fixed" max_iter: 4 test_iter: 1 test_interval: 2 snapshot_after_train: false random_seed: 1
"""


def test_test_nets_follow_shared_blobs() -> None:
    """Blobs shared by name, also with another shape (PERMISSIVE): one memory in both nets, one update."""
    run = Run(SOLVER)
    solver = run.solver
    torch.manual_seed(1)
    solver.feed = solver.test_feeds[0] = lambda: {"x": torch.ones(2, 4)}
    assert len(solver.net.learnable) == 2
    before = solver.net.layer("a").weight.detach().clone()
    solver.solve()
    weight = solver.net.layer("a").weight
    assert not torch.equal(weight, before)
    for net in (solver.net, *solver.test_nets):
        for name in ("a", "b", "c"):
            assert net.layer(name).weight.data_ptr() == weight.data_ptr()
    with torch.no_grad():
        train, test = solver.net(x=torch.ones(2, 4)), solver.test_nets[0](x=torch.ones(2, 4))
    assert torch.equal(train["loss"], test["loss"])
