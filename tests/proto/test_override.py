"""Fields given anew on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import print_text, read_solver

SOLVER = """
net: "net.prototxt"
base_lr: 0.01
solver_type: ADAM
test_iter: 3
test_iter: 4
test_interval: 10
"""


def overridden(*settings: str) -> str:
    return print_text(read_solver(SOLVER, overrides=settings).message)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("base_lr=0.5", "base_lr: 0.5"),
        (" base_lr = 1e-3 ", "base_lr: 0.001"),
        ("lr_policy=step", 'lr_policy: "step"'),
        ('lr_policy="step"', 'lr_policy: "step"'),
        ("snapshot_prefix=a=b/c d", 'snapshot_prefix: "a=b/c d"'),
        ("solver_mode=GPU", "solver_mode: GPU"),
        ("snapshot_after_train=false", "snapshot_after_train: false"),
        ("train_state={ level: 2 stage: 'x' }", 'train_state {\n  level: 2\n  stage: "x"\n}'),
        ("train_state=level: 2", "train_state {\n  level: 2\n}"),
    ],
)
def test_values_of_every_kind(setting: str, line: str) -> None:
    assert line in overridden(setting)


def test_a_list_takes_the_place_of_the_files() -> None:
    for settings in (["test_iter=[5, 6, 7]"], ["test_iter=5", "test_iter=6", "test_iter=7"]):
        assert list(read_solver(SOLVER, overrides=settings).message.test_iter) == [5, 6, 7]


def test_the_old_and_the_new_form_of_the_type() -> None:
    assert 'type: "AdaGrad"' in overridden("type=AdaGrad")
    assert 'type: "Nesterov"' in overridden("solver_type=NESTEROV")
    assert 'type: "Adam"' in overridden()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("base_rl=1", r"'base_rl=1': SolverParameter has no field 'base_rl' \(did you mean 'base_lr'"),
        ("base_lr", r"'base_lr' is no setting; accepted: FIELD=VALUE, as in base_lr=0\.001"),
        ("base_lr=", "is no setting"),
        ("base_lr=fast", r"the given base_lr:1:10: .*'fast'"),
        ("base_lr=1 momentum: 3", "holds more than one value; give each field on its own"),
        ("solver_mode=TPU", r"the given solver_mode:1:\d+: .*CPU, GPU"),
    ],
)
def test_what_is_wrong_is_told(setting: str, message: str) -> None:
    with pytest.raises(PrototxtError, match=message):
        overridden(setting)


def test_one_value_fields_are_given_once() -> None:
    with pytest.raises(PrototxtError, match="takes one value and has one already"):
        overridden("base_lr=1", "base_lr=2")


def test_places_of_other_fields_stay_and_the_prefix_rule_holds(tmp_path: Path) -> None:
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    (tmp_path / "snaps").mkdir()
    document = read_solver(
        tmp_path / "solver.prototxt", overrides=["base_lr=3", f"snapshot_prefix={tmp_path / 'snaps'}"]
    )
    assert document.where("test_interval").endswith("solver.prototxt:7:1")
    assert document.where("base_lr").endswith("solver.prototxt")
    assert document.message.snapshot_prefix == str(tmp_path / "snaps" / "solver")
