"""InfogainLoss: the matrix from a file or a bottom, axis, normalisers, ignored labels, the floor, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.infogain_loss import InfogainLoss
from caffe_compat.proto import pb
from tests.layers.checking import check_onnx, check_shapes, made, values

X, H = values(2, 3, 4, 5), values(3, 3, seed=4)
Y = torch.arange(40).remainder(3).float().reshape(2, 1, 4, 5)


def formula(x: Tensor, y: Tensor, h: Tensor, divisor: float, ignored: int | None = None) -> Tensor:
    """Classes along axis 1."""
    logs, index = torch.log_softmax(x, 1).movedim(1, -1).reshape(-1, x.shape[1]), y.flatten().long()
    losses = -(h[index] * logs).sum(1)
    return losses[index != (-9 if ignored is None else ignored)].sum() / divisor


@pytest.mark.parametrize(
    ("fields", "divisor"),
    [
        ({}, 40),
        ({"normalization": "FULL"}, 40),
        ({"normalization": "BATCH_SIZE"}, 2),
        ({"normalization": "NONE"}, 1),
        ({"ignore_label": 1}, 27),
        ({"ignore_label": 1, "normalization": "FULL"}, 40),
        ({"ignore_label": 9}, 40),
    ],
)
def test_value_gradient_shape_and_onnx(fields: Any, divisor: int) -> None:
    layer = made(InfogainLoss(**fields), X, Y, H, tops=2)
    loss, probability = layer(X, Y, H)
    torch.testing.assert_close(loss, formula(X, Y, H, divisor, fields.get("ignore_label")))
    torch.testing.assert_close(probability, torch.softmax(X, 1))
    check_shapes(layer, X, Y, H)
    check_onnx(layer, X, Y, H)
    assert torch.autograd.gradcheck(lambda x: layer(x, Y, H)[0], X.double().requires_grad_())


@pytest.mark.parametrize("axis", [2, 3, -1, -2])
def test_other_axes(axis: int) -> None:
    x, labels = X.movedim(1, axis), Y[:, 0]
    layer = made(InfogainLoss(axis=axis), x, labels, H)
    torch.testing.assert_close(layer(x, labels, H), formula(X, labels, H, 40))
    check_onnx(layer, x, labels, H)


def test_classes_along_the_first_axis() -> None:
    x, labels = values(3, 6), torch.tensor([[0.0, 1], [2, 0], [1, 2]])
    layer = made(InfogainLoss(axis=0, normalization="BATCH_SIZE"), x, labels, H)
    torch.testing.assert_close(layer(x, labels, H), formula(x.t(), labels, H, 1))


def test_the_unit_matrix_gives_the_cross_entropy() -> None:
    x, y = values(4, 3), torch.tensor([0.0, 2.9, 1.0, 2.0])
    layer = made(InfogainLoss(), x, y, torch.eye(3))
    torch.testing.assert_close(layer(x, y, torch.eye(3)), torch.nn.functional.cross_entropy(x, y.long()))


def test_the_floor_has_no_part_in_the_gradient() -> None:
    x = torch.tensor([[0.0, 100.0]], requires_grad=True)
    y, h = torch.zeros(1), torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    layer = made(InfogainLoss(), x, y, h)
    loss = layer(x, y, h)
    assert loss.item() == pytest.approx(2 * 46.0517, rel=1e-6)
    loss.backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.tensor([[-2.0, 2.0]]))
    check_onnx(layer, x.detach(), y, h)


def test_ignored_places_may_hold_nan_and_all_may_be_ignored() -> None:
    x = torch.tensor([[float("nan"), 1.0]], requires_grad=True)
    layer = made(InfogainLoss(ignore_label=1), x, torch.ones(1), torch.eye(2))
    loss = layer(x, torch.ones(1), torch.eye(2))
    loss.backward()
    assert x.grad is not None
    assert (loss.item(), x.grad.tolist()) == (0, [[0, 0]])


def write(path: Path, matrix: Tensor, double: bool = False, legacy: bool = True) -> str:
    blob = pb.BlobProto()
    if legacy:
        blob.num, blob.channels, blob.height, blob.width = 1, 1, *matrix.shape
    else:
        blob.shape.dim.extend(matrix.shape)
    (blob.double_data if double else blob.data).extend(matrix.flatten().tolist())
    path.write_bytes(blob.SerializeToString())
    return str(path)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("legacy", [False, True])
def test_the_matrix_from_a_file(tmp_path: Path, double: bool, legacy: bool) -> None:
    layer = made(InfogainLoss(source=write(tmp_path / "H.binaryproto", H, double, legacy)), X, Y)
    torch.testing.assert_close(layer(X, Y), formula(X, Y, H, 40))
    assert list(layer.state_dict()) == []
    assert layer.blobs == []
    check_shapes(layer, X, Y)
    check_onnx(layer, X, Y)
    assert layer.double()(X.double(), Y).dtype == torch.float64


def test_a_matrix_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "H.binaryproto", values(2, 3))
    with pytest.raises(NetError, match=r"H has 6 values, the scores of shape \[5, 3\] have 3 classes along axis 1; "):
        InfogainLoss(source=source).setup((5, 3), (5,))
    with pytest.raises(NetError, match=r"matrix H has 16 values"):
        InfogainLoss().setup((5, 3), (5,), (1, 1, 4, 4))
    with pytest.raises(NetError, match="H needs 4 x 4 values"):
        made(InfogainLoss(), X, Y, H)(values(2, 4), torch.zeros(2), H)


def test_the_missing_matrix(tmp_path: Path) -> None:
    with pytest.raises(NetError, match=r"needs the infogain matrix: give infogain_loss_param .*or a third bottom"):
        InfogainLoss().setup((5, 3), (5,))
    with pytest.raises(NetError, match=r"cannot read the infogain matrix \(from the working directory\): .*nowhere"):
        InfogainLoss(source=str(tmp_path / "nowhere.binaryproto")).setup((5, 3), (5,))
    (tmp_path / "text").write_text("no such thing")
    with pytest.raises(NetError, match="cannot read the infogain matrix"):
        InfogainLoss(source=str(tmp_path / "text")).setup((5, 3), (5,))


@pytest.mark.parametrize(
    ("fields", "shapes", "message"),
    [
        ({}, [(5, 3), (4,), (3, 3)], "4 labels|the same first dimension"),
        ({}, [(5, 3), (5, 2), (3, 3)], r"10 labels \(shape \[5, 2\]\) for 5 predictions"),
        ({"axis": 2}, [(5, 3), (5,), (3, 3)], "axis 2 is out of range"),
        ({}, [(0, 3), (0,), (3, 3)], r"shape \[0, 3\] has no elements"),
        ({}, [(5, 0), (5,), (0, 0)], r"shape \[5, 0\] has no elements"),
        ({"normalize": True}, [], "normalize is refused here, as by Caffe; use normalization: VALID"),
    ],
)
def test_refusals(fields: Any, shapes: Any, message: str) -> None:
    with pytest.raises(NetError, match=message):
        InfogainLoss(**fields).setup(*shapes)


@pytest.mark.parametrize("label", [3.0, -1.0])
def test_a_label_that_is_no_class_is_named(label: float) -> None:
    layer = made(InfogainLoss(), values(2, 3), torch.zeros(2), H)
    with pytest.raises(NetError, match=rf"label {label:g} at \[1\].*accepted: 0 to 2"):
        layer(values(2, 3), torch.tensor([0.0, label]), H)
