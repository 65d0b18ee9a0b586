"""--precision: which layers autocast, the scale of the loss, updates that overflow."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from caffe_compat import load_net
from caffe_compat.errors import SolverError
from caffe_compat.solver.precision import FIRST_SCALE, Precision, void_where
from caffe_compat.solver.solver import Solver
from tests.solver.making import NET, Run, make_experiment, parameters

BLOBS = """
layer {{ name: "x" type: "Input" top: "x" top: "y" input_param {{ shape {{ dim: 4 dim: 3 }} shape {{ dim: 4 }} }} }}
layer {{ name: "a" type: "InnerProduct" bottom: "x" top: "a" inner_product_param {{ num_output: 5
  weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "r" type: "ReLU" bottom: "a" top: "r" }}
layer {{ name: "s" type: "Sigmoid" bottom: "r" top: "s" }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "s" bottom: "y" top: "loss" }}
{more}
"""
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def net(more: str = ""):
    return load_net(BLOBS.format(more=more), "TRAIN")


def losses(net: str = NET, **options: object) -> list[float]:
    changes = {"max_iter": 30, "display": 10, "snapshot": None, "snapshot_after_train": "false"}
    run = Run(make_experiment(Path(), net, **changes), **options)
    run.solver.solve()
    return [row[2] for row in run.rows("train_loss")]


# ---- autocast


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_only_what_does_well_in_half_precision_sees_it(name: str) -> None:
    made = net()
    precision = Precision(name, made, CPU)
    made.keep_blobs = True
    with precision.autocast():
        made(torch.randn(4, 3), torch.tensor([0.0, 1, 2, 3]))
    types = {blob: top.dtype for blob, top in made.blobs.items()}
    assert types["a"] == types["r"] == precision.type
    assert types["s"] == types["loss"] == made.loss.dtype == torch.float32
    precision.scaled(made.loss).backward()
    assert {p.grad.dtype for p in made.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_a_training_in_half_precision_follows_float32(name: str) -> None:
    """With BatchNorm, whose statistics stay float32, and all that is random."""
    run = Run(make_experiment(Path(), max_iter=1, snapshot_after_train="false", snapshot=None), precision=name)
    run.solver.solve()
    assert {blob.dtype for blob in run.solver.net.layer("bn").blobs} == {torch.float32}
    scaled = "global_grad_scale: 1024\n" + NET  # at which no gradient overflows, which would make an update void
    assert losses(scaled, precision=name) == pytest.approx(losses(), rel=0.05)


def test_few_values_a_channel_have_float32_statistics() -> None:
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 3 dim: 4 } } }
    layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 4
      weight_filler { type: "xavier" } } }
    layer { name: "bn" type: "BatchNorm" bottom: "a" top: "bn" }"""
    made = load_net(text, "TRAIN")
    x = torch.randn(3, 4)
    with Precision("bf16", made, CPU).autocast():
        top = made(x)["bn"]
        a = made.layer("a")(x)
    assert top.dtype == torch.bfloat16
    assert torch.equal(made.layer("bn").mean, a.float().mean(0).detach())


def test_a_loss_that_autocasts_is_summed_in_float32() -> None:
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 999 dim: 4 } } }
    layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" loss_weight: 1
      inner_product_param { num_output: 4 } }"""
    made = load_net(text, "TRAIN")
    with Precision("bf16", made, CPU).autocast():
        made(torch.randn(999, 4))
    assert made.loss.dtype == torch.float32


def test_a_layer_without_a_gradient_leaves_no_weights_to_one_with() -> None:
    """Autocast keeps the weights that it has cast, in torch before 2.10 without a way back to the float32 ones."""
    with Precision("bf16", net(), CPU).autocast():
        assert not torch.is_autocast_cache_enabled()


def test_float32_is_not_rounded_to_tf32_unless_asked_for() -> None:
    flags = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [flag.allow_tf32 for flag in flags]
    try:
        for name, allowed in (("tf32", True), ("fp32", False)):
            precision = Precision(name, net(), torch.device("cuda"))
            assert [flag.allow_tf32 for flag in flags] == [allowed, allowed]
            assert precision.type == torch.float32
    finally:
        for flag, value in zip(flags, before, strict=True):
            flag.allow_tf32 = value


# ---- the scale of the loss


def test_global_grad_scale_does_not_change_the_training_in_fp32() -> None:
    """A power of two: bit for bit; 1000 to rounding."""
    make_experiment(Path())
    Path("plain.prototxt").write_text(Path("solver.prototxt").read_text())
    plain = Run("plain.prototxt")
    plain.solver.step(10)
    for scale in (1024, 1000):
        run = Run(make_experiment(Path(), f"global_grad_scale: {scale}\n" + NET))
        assert run.solver.precision.scale == scale
        run.solver.step(10)
        if scale == 1024:
            assert parameters(run.solver) == parameters(plain.solver)
            assert run.rows("train_loss") == plain.rows("train_loss")
        for mine, theirs in zip(run.solver.updater.params, plain.solver.updater.params, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_the_scale_is_multiplied_in_and_divided_out() -> None:
    made = load_net(f"global_grad_scale: 8 {BLOBS.format(more='')}", "TRAIN")
    precision = Precision("fp32", made, CPU)
    made(torch.randn(4, 3), torch.zeros(4))
    precision.scaled(made.loss).backward()
    scaled = [p.grad.clone() for p in made.parameters()]
    assert precision.unscale([p.grad for p in made.parameters()]) is None
    for before, param in zip(scaled, made.parameters(), strict=True):
        assert torch.equal(before / 8, param.grad)


def test_refusals() -> None:
    with pytest.raises(SolverError, match="precision is 'fp8'; accepted: fp32, tf32, bf16, fp16"):
        Precision("fp8", net(), CPU)
    with pytest.raises(SolverError, match=r"global_grad_scale is -2; accepted: a number above 0"):
        Precision("fp32", net("global_grad_scale: -2"), CPU)


def test_fp16_starts_at_the_net_s_scale() -> None:
    assert float(Precision("fp16", net(), CPU).scale) == FIRST_SCALE
    assert float(Precision("fp16", net("global_grad_scale: 1000"), CPU).scale) == 1000


def test_an_overflow_halves_the_scale_and_many_updates_double_it() -> None:
    precision = Precision("fp16", net("global_grad_scale: 4"), CPU)
    assert float(precision.unscale([torch.tensor([4.0, 8.0])])) == 0
    gradient = torch.tensor([8.0])
    assert float(precision.unscale([gradient, torch.tensor([torch.inf])])) == 1
    assert precision.state == (2.0, 0)
    precision.restore(2.0, 1999)
    assert float(precision.unscale([gradient])) == 0
    assert precision.state == (4.0, 0)


def test_void_updates_leave_no_trace_and_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [torch.randn(3, 2, 2, 2).to(memory_format=torch.channels_last), torch.randn(())]
    before = [tensor.clone() for tensor in tensors]
    monkeypatch.setattr(torch.Tensor, "__bool__", None)
    with void_where(torch.tensor(1.0), tensors):
        torch._foreach_mul_(tensors, float("nan"))
    assert all(torch.Tensor.equal(a, b) for a, b in zip(tensors, before, strict=True))
    with void_where(torch.tensor(0.0), tensors):
        torch._foreach_mul_(tensors, 2)
    assert all(torch.Tensor.equal(a, b * 2) for a, b in zip(tensors, before, strict=True))


def test_an_overflow_skips_the_update() -> None:
    run = Run(make_experiment(Path(), display=0, test_interval=None, test_iter=None, snapshot=None), precision="fp16")
    solver: Solver = run.solver
    solver.step(2)
    before = parameters(solver)
    solver.precision.restore(2.0**127, 0)  # the loss overflows
    solver.step(1)
    after = parameters(solver)
    assert {name for name in before if before[name] != after[name]} <= {"bn.0", "bn.1", "bn.2"}
    assert solver.precision.state == (2.0**126, 0)
    solver.precision.restore(1024.0, 0)
    solver.step(1)
    assert parameters(solver)["fc.0"] != after["fc.0"]


def test_fp16_resumes_bit_for_bit() -> None:
    whole = Run(make_experiment(Path()), precision="fp16")
    whole.solver.precision.restore(2.0**30, 0)  # some updates will overflow
    whole.solver.solve()
    resumed = Run("solver.prototxt", precision="fp16", snapshot="snap_iter_6.solverstate")
    resumed.solver.solve()
    assert parameters(resumed.solver) == parameters(whole.solver)
    assert resumed.solver.precision.state == whole.solver.precision.state
    Run("solver.prototxt", snapshot="snap_iter_6.solverstate").solver.step(1)  # fp32 leaves the scale out


# ---- the device is not waited for


@pytest.mark.parametrize("options", [{}, {"precision": "bf16"}, {"precision": "fp16"}, {"channels_last": True}])
def test_no_value_is_read_between_displays(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would make the host wait for a GPU: values of tensors that are read by Python."""
    folder = make_experiment(Path(), display=8, test_interval=None, test_iter=None, snapshot=None, clip_gradients=0.1)
    run = Run(folder, **options)
    reads: list[tuple[str, int]] = []
    for name in ("item", "__float__", "__int__", "__bool__", "tolist", "numpy", "cpu", "__index__"):
        original = getattr(torch.Tensor, name)

        def counted(*args: object, _name: str = name, _original=original, **keywords: object) -> object:
            reads.append((_name, run.solver.iter))
            return _original(*args, **keywords)

        monkeypatch.setattr(torch.Tensor, name, counted)
    run.solver.step(17)
    assert {iteration for _, iteration in reads} == {0, 8, 16}


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["fp32", "tf32", "bf16", "fp16"])
def test_on_a_gpu(name: str) -> None:
    on_gpu = losses(precision=name, device="cuda")
    assert all(loss < 3 for loss in on_gpu)


@pytest.mark.gpu
def test_a_gpu_is_not_waited_for_between_displays() -> None:
    path = make_experiment(Path(), display=0, test_interval=None, test_iter=None, snapshot=None, clip_gradients=0.1)
    run = Run(path, device="cuda", precision="fp16")
    run.solver.step(3)
    torch.cuda.set_sync_debug_mode("error")
    try:
        run.solver.step(5)
    finally:
        torch.cuda.set_sync_debug_mode("default")
