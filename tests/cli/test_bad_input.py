"""What a user may give wrongly: one clear message, exit status 1, no traceback, nothing half-written."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from caffe_compat.cli import main
from tests.cli.running import Folder

W = "--weights snap_iter_12.caffemodel"
Edit = tuple[str, str, str]
NET, SOLVER = "net.prototxt", "solver.prototxt"

# ---- prototxt: what is edited, the command, what the message says

PROTOTXT: list[tuple[str, Edit, str, str]] = [
    ("a typo that breaks", (NET, "kernel_size", "kernal_size"), "summary net.prototxt",
     r"net\.prototxt:9:1: kernel_size is not given.*\nnote: net\.prototxt:10:37: .*did you mean 'kernel_size'"),
    ("type", (NET, '"Convolution"', '"Convolutin"'), "summary net.prototxt",
     r"layer 'conv' \(Convolutin\), net\.prototxt:9:1: unknown layer type 'Convolutin'; did you mean Convolution"),
    ("type, train", (NET, '"Convolution"', '"Convolutin"'), "train solver.prototxt", r"net\.prototxt:9:1: unknown lay"),
    ("type, export", (NET, '"Convolution"', '"Convolutin"'), f"export net.prototxt {W}",
     r"net\.prototxt:9:1: did you mean Convolution"),
    ("bottom", (NET, 'bottom: "data"', 'bottom: "dat"'), "summary net.prototxt",
     r"layer 'conv' \(Convolution\), net\.prototxt:9:1: bottom 'dat' is made by no layer.*did you mean 'data'\?"),
    ("bottom, deploy", (NET, 'bottom: "data"', 'bottom: "dat"'), "deploy net.prototxt", "did you mean 'data'"),
    ("bottom, export", (NET, 'bottom: "data"', 'bottom: "dat"'), f"export net.prototxt {W}", "did you mean 'data'"),
    ("shape", (NET, '"Accuracy" bottom: "fc"', '"Eltwise" bottom: "fc"'), "test net.prototxt",
     r"net\.prototxt:18:1: .*\[5, 3\].*\[5\]"),
    ("Python", (NET, '"ReLU" bottom: "conv" top: "conv"',
                '"Python" bottom: "conv" top: "conv" python_param { module: "os" layer: "x" }'),
     "summary net.prototxt", r"would run your code, class 'x' of the Python module 'os'.*--allow-python os"),
    ("mean missing", (NET, "mirror: true", 'mirror: true mean_file: "m.binaryproto"'), "train solver.prototxt",
     r'net\.prototxt:3:1: transform_param.s mean_file "m\.binaryproto" is not there'),
    ("policy", (SOLVER, '"step"', '"stepp"'), "train solver.prototxt",
     r"solver\.prototxt:3:1: unknown learning-rate policy 'stepp'; known: fixed, step"),
    ("no policy", (SOLVER, 'lr_policy: "step"', ""), "train solver.prototxt",
     r"solver\.prototxt(:1:1)?: lr_policy is missing; known: fixed, step"),
    ("no net", (SOLVER, 'net: "net.prototxt"', ""), "train solver.prototxt", "exactly one of net, .*found none"),
    ("net missing", (SOLVER, "net.prototxt", "nett.prototxt"), "train solver.prototxt",
     r"solver\.prototxt:1:1: net: there is no file nett\.prototxt; did you mean net\.prototxt"),
    ("net a folder", (SOLVER, "net.prototxt", "db"), "train solver.prototxt", r"solver\.prototxt:1:1: net: db is a fo"),
    ("max_iter", (SOLVER, "max_iter: 12", "max_iter: -3"), "train solver.prototxt", r":8:1: max_iter is -3; accepted"),
    ("test_iter", (SOLVER, "test_iter: 2", "test_iter: -1"), "train solver.prototxt", r":11:1: test_iter is -1; acc"),
    ("prefix", (SOLVER, '"snap"', '"no/snap"'), "train solver.prototxt", r"there is no folder no; create it"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "command", "expected"), [row[1:] for row in PROTOTXT], ids=[row[0] for row in PROTOTXT]
)
def test_wrong_prototxt(folder: Folder, edit: Edit, command: str, expected: str) -> None:
    folder.edit(*edit)
    assert re.search(expected, folder.refused(command), re.DOTALL)


@pytest.mark.parametrize("command", ["summary net.prototxt", "deploy net.prototxt", "test net.prototxt --iterations 1"])
def test_unknown_field_is_a_note_and_under_strict_an_error(folder: Folder, command: str) -> None:
    folder.edit(NET, "num_output: 4", "num_output: 4 strid: 2")
    result = folder.run(command)
    told = "net.prototxt:10:37: unknown field 'strid' in ConvolutionParameter (did you mean 'stride'"
    assert result.status == 0
    assert f"note: {told}" in result.err
    assert told in folder.refused(f"{command} --strict")


def test_unknown_field_of_a_solver(folder: Folder) -> None:
    folder.edit(SOLVER, "momentum", "momentun")
    told = "solver.prototxt:6:1: unknown field 'momentun' in SolverParameter (did you mean 'momentum'"
    assert told in folder.refused("train solver.prototxt --strict")
    result = folder.run("train solver.prototxt")
    assert result.status == 0
    assert told in result.err


# ---- files cut short: the file, the bytes that are left, the command, what the message says

CUT: list[tuple[str, int, str, str]] = [
    ("snap_iter_9.caffemodel", 0, "test net.prototxt --weights snap_iter_9.caffemodel", "empty"),
    (
        "snap_iter_9.caffemodel",
        100,
        "test net.prototxt --weights snap_iter_9.caffemodel",
        r"\(100 bytes\) is truncated",
    ),
    ("snap_iter_9.caffemodel", -1, "train solver.prototxt --weights snap_iter_9.caffemodel", "is truncated or damaged"),
    ("snap_iter_9.solverstate", 0, "train solver.prototxt --snapshot snap_iter_9.solverstate", "it is empty"),
    (
        "snap_iter_9.solverstate",
        -5,
        "train solver.prototxt --snapshot snap_iter_9.solverstate",
        "is truncated, damaged",
    ),
    ("db/data.mdb", 0, "train solver.prototxt", r"net\.prototxt:3:1: .*data\.mdb cannot be opened.*it is empty"),
    ("db/data.mdb", -1, "test net.prototxt", r"net\.prototxt:6:1: .*data\.mdb is cut short: 12287 of 12288 bytes"),
    ("net.onnx", 0, "classify net.onnx a.png", r"net\.onnx is empty"),
    ("net.onnx", -50, "classify net.onnx a.png", "damaged or no ONNX file"),
    ("net.onnx", -50, "evaluate net.onnx net.prototxt", "damaged or no ONNX file"),
    ("net.onnx", -50, f"verify net.onnx net.prototxt {W}", "damaged or no ONNX file"),
    ("a.png", 30, "classify net.onnx a.png", r"a\.png cannot be read as a picture"),
]


@pytest.mark.parametrize(("name", "size", "command", "expected"), CUT)
def test_truncated_file(folder: Folder, name: str, size: int, command: str, expected: str) -> None:
    folder.cut(name, size)
    assert re.search(expected, folder.refused(command))


@pytest.mark.parametrize(("size", "expected"), [(0, "no mean image"), (10, "no mean image"), (-1, "no mean image")])
def test_truncated_mean(folder: Folder, size: int, expected: str) -> None:
    folder.mean()
    folder.cut("m.binaryproto", size)
    assert re.search(rf"net\.prototxt:6:1: .*m\.binaryproto is {expected}", folder.refused(f"test net.prototxt {W}"))


def test_mean_of_another_size(folder: Folder) -> None:
    folder.mean(side=9)
    message = folder.refused(f"test net.prototxt {W}")
    assert "(1, 9, 9)" in message
    assert "(1, 8, 8)" in message


def test_a_guessed_shape_is_told_where_weights_do_not_fit(folder: Folder) -> None:
    folder.mean(side=9)
    message = folder.refused(f"export net.prototxt {W} -o z.onnx")
    assert "note: input 'data' is taken to have 3 channels" in message
    assert "--input-shape data:5,C,6,6" in message


# ---- the wrong file: the command, what the message says

WRONG_FILE: list[tuple[str, str]] = [
    ("train solver.prototxt --snapshot snap_iter_9.caffemodel", "is a .caffemodel: .*give it with --weights"),
    ("train solver.prototxt --weights snap_iter_9.solverstate", "is a solver state; train on from it with --snapshot"),
    ("train solver.prototxt --weights nope.caffemodel", "cannot read the weights nope.caffemodel: No such file"),
    ("train solver.prototxt --snapshot db", "cannot read the snapshot db: Is a directory"),
    ("test net.prototxt --weights net.onnx", "no weight file, it is an ONNX model"),
    ("test net.prototxt --weights net.prototxt", "it is a text file"),
    ("test net.prototxt --weights snap_iter_9.caffemodel,nope.caffemodel", "cannot read the weights nope.caffemodel"),
    ("summary db", "db is a folder"),
    ("summary net.prototx", r"there is no file net\.prototx; did you mean net\.prototxt"),
    ("summary nope:x.prototxt", "there is no file nope:x.prototxt"),
    ("summary snap_iter_9.caffemodel", "binary file, not a prototxt"),
    ("summary solver.prototxt", "unknown field 'net' in NetParameter(.|\n)*it is something else"),
    ("train net.onnx", "binary file, not a prototxt"),
    ("summary empty", "empty is empty: it holds no field of a NetParameter"),
    ("train empty", "empty is empty: it holds no field of a SolverParameter"),
    ("check db", "db: there is no prototxt and no weights file"),
    ("check nowhere", "nowhere: no such file or folder"),
    (f"summary {'a' * 300}.prototxt", "File name too long"),
    (f"check {'a' * 300}", "no such file or folder"),
    ("classify foreign.onnx a.png", "was not exported by caffe_compat"),
    ("evaluate foreign.onnx net.prototxt", "was not exported by caffe_compat"),
    (f"verify foreign.onnx net.prototxt {W}", "is not this net: it has x, y, the net has conv, data, fc, prob"),
    ("classify nope.onnx a.png", "nope.onnx: no such file"),
    ("classify net.prototxt a.png", "damaged or no ONNX file"),
    ("classify db a.png", "db is a folder"),
    ("classify net.onnx nope.png", "the picture nope.png does not exist"),
    ("classify net.onnx a.png net.prototxt", "net.prototxt cannot be read as a picture"),
    (f"export net.prototxt {W} -o z.onnx --mean nope.binaryproto", "cannot read the mean nope.binaryproto"),
    (f"export net.prototxt {W} -o z.onnx --mean net.prototxt", "net.prototxt is no mean image"),
    (f"export net.prototxt {W} -o z.onnx --labels nope.txt", "cannot read the labels nope.txt"),
    (f"export net.prototxt {W} -o z.onnx --labels nope.txt", "nope.txt: No such file or directory; give a UTF-8 text"),
    ("convert-imageset . nope.txt out", "the list nope.txt cannot be read: No such file or directory; give"),
    (f"export net.prototxt {W} -o z.onnx --mean net.prototxt", r"\(a BlobProto\); give the file .* wrote \(Error"),
    ("classify net.prototxt a.png", r"net.prototxt is damaged or no ONNX file, .*\(onnxruntime: [^\[]*$"),
    ("layers Convolutoin", "unknown layer type 'Convolutoin'; did you mean Convolution"),
    ("layers conv", "unknown layer type 'conv'; did you mean .*Convolution"),
    ("convert-mnist nowhere --out new/m", "nowhere holds neither train-images"),
    ("convert-cifar db --out m", "db holds no CIFAR"),
    ("convert-mnist empty --out m", "empty cannot be read as an .npz"),
]


@pytest.mark.parametrize(("command", "expected"), WRONG_FILE, ids=[row[0][:60] for row in WRONG_FILE])
def test_wrong_file(folder: Folder, command: str, expected: str) -> None:
    (folder.path / "empty").write_text("")
    if "foreign" in command:
        foreign_onnx(folder.path / "foreign.onnx")
    assert re.search(expected, folder.refused(command))


def foreign_onnx(path: Path) -> None:
    """A sound file that another program wrote."""
    import onnx
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 6, 6]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def test_an_existing_data_base_names_the_option(folder: Folder) -> None:
    (folder.path / "list.txt").write_text("a.png 0\n")
    message = folder.refused("convert-imageset ./ list.txt db")
    assert "db exists already: remove it, choose another name, or overwrite it (--overwrite; in Python over" in message


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's endless device")
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("summary /dev/full", "/dev/full is a device, not a file"),
        ("train /dev/zero", "/dev/zero is a device, not a file"),
        ("test net.prototxt --weights /dev/zero", "/dev/zero is a device, not a file"),
    ],
)  # fmt: skip
def test_an_endless_device_is_not_read(folder: Folder, command: str, expected: str) -> None:
    assert expected in folder.refused(command)


@pytest.mark.parametrize("command", [f"export net.prototxt {W} -o z.onnx", f"verify net.onnx net.prototxt {W}"])
def test_a_shape_of_the_command_line_is_told_where_the_net_refuses_it(folder: Folder, command: str) -> None:
    message = folder.refused(f"{command} --input-shape data:1")
    assert "note that 'data' has shape [1], as --input-shape says (in Python: input_shape=)" in message


# ---- weights that do not fit


@pytest.mark.parametrize("command", ["test net.prototxt", "export net.prototxt", "train solver.prototxt"])
def test_weights_of_another_shape(folder: Folder, command: str) -> None:
    folder.edit(NET, "num_output: 3", "num_output: 5")
    shapes = r"blob 'weight' of layer 'fc' has shape \[3, 64\] in the file, \[5, 64\] in the net; to train this layer"
    assert re.search(rf"snap_iter_12\.caffemodel: {shapes}", folder.refused(f"{command} {W}"))


@pytest.mark.parametrize("command", ["test net.prototxt", "export net.prototxt", "verify net.onnx net.prototxt"])
def test_weights_that_fit_nothing(folder: Folder, command: str) -> None:
    for name in ("conv", "bn", "scale", "fc"):
        folder.edit(NET, f'name: "{name}"', f'name: "my_{name}"')
    message = folder.refused(f"{command} {W}")
    assert "the file has 'conv', 'bn', 'scale', 'fc'; the net has 'my_conv', 'my_bn', 'my_scale', 'my_fc'" in message


def test_a_layer_without_weights_is_told(folder: Folder) -> None:
    folder.edit(NET, 'name: "fc"', 'name: "new"')
    result = folder.run(f"test net.prototxt {W} --iterations 1")
    assert result.status == 0
    assert "ignored (the net has no such layer): 'fc'; left as they are (no file has such a layer): 'new'" in result.err


# ---- data


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("train solver.prototxt", r"'loss' \(SoftmaxWithLoss\), net\.prototxt:17:1: label 7 .*accepted: 0 to 2"),
        (f"test net.prototxt {W}", r"net\.prototxt:17:1: label 7 .*accepted: 0 to 2"),
        ("time net.prototxt --iterations 1", r"net\.prototxt:17:1: label 7 .*accepted: 0 to 2"),
        ("evaluate net.onnx net.prototxt", "labels from 7 to 7, but the ONNX file has 3 classes"),
    ],
)  # fmt: skip
def test_label_out_of_range(folder: Folder, command: str, expected: str) -> None:
    import shutil

    from caffe_compat.data.lmdb_write import write_lmdb
    from caffe_compat.proto import pb

    shutil.rmtree("db")
    write_lmdb("db", [pb.Datum(channels=1, height=8, width=8, data=bytes(64), label=7)] * 9)
    assert re.search(expected, folder.refused(command))


# ---- where it cannot be written

UNWRITABLE: list[tuple[str, str]] = [
    (f"export net.prototxt {W} -o no/z.onnx", "cannot write no/z.onnx: .*the folder does not exist: create it"),
    (f"export net.prototxt {W} -o db", "cannot write db: it is a folder"),
    (f"export net.prototxt {W} -o net.onnx/z", "a part of the path is a file"),
    (f"export net.prototxt {W} -o {'a' * 300}", "the name is too long"),
    ("deploy net.prototxt -o no/z.prototxt", "the folder does not exist"),
    ("convert-mnist --tiny --out net.onnx/m", "net.onnx is a file, and a folder is to be made there"),
    ("demo --out a.png", "a.png is a file"),
]


@pytest.mark.parametrize(("command", "expected"), UNWRITABLE, ids=[row[0][:60] for row in UNWRITABLE])
def test_unwritable(folder: Folder, command: str, expected: str) -> None:
    if command.startswith("demo"):
        pytest.importorskip("matplotlib")
    assert re.search(expected, folder.refused(command))


def test_an_ignored_field_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = tmp_path / "typo.prototxt"
    net.write_text('layer { name: "x" type: "Input" top: "x" nam: 1 input_param { shape { dim: 1 } } }')
    assert main(["summary", str(net)]) == 0
    assert capsys.readouterr().err.count("unknown field 'nam'") == 1
