"""Wrong options (exit status 2), wrong values, and errors that nobody foresaw: one message, no traceback."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable

import pytest
import torch

from tests.cli.running import Folder

W = "--weights snap_iter_12.caffemodel"

# ---- usage: exit status 2

USAGE: list[tuple[str, str]] = [
    ("trian", "unknown command 'trian'; did you mean train"),
    ("zzz", "unknown command 'zzz'; commands: train, test"),
    ("train --foo", "unrecognized arguments: --foo"),
    ("train", "no solver given; name its prototxt"),
    ("train a --solver b", "two solvers are given, a and --solver b"),
    ("test", "no net given; name its prototxt"),
    ("test a --model b", "two nets are given"),
    ("classify net.onnx", "required: images"),
    (f"train solver.prototxt {W} --snapshot x", "--snapshot and --weights are both given"),
    ("verify net.onnx net.prototxt", "no weights given.*--weights"),
    ("test net.prototxt --weights ,", "names no file"),
    ("test net.prototxt --iterations abc", "abc: accepted: a whole number from 1 on"),
    ("test net.prototxt --iterations 0", "0: accepted: a whole number from 1 on"),
    ("time net.prototxt --iterations -5", "-5: accepted: a whole number from 1 on"),
    ("evaluate net.onnx net.prototxt --iterations 0", "accepted: a whole number from 1 on"),
    ("classify net.onnx a.png --top 0", "accepted: a whole number from 1 on"),
    ("train solver.prototxt --threads 0", "accepted: a whole number from 1 on"),
    ("check net.prototxt --jobs 0", "accepted: a whole number from 1 on"),
    ("check net.prototxt --seconds nan", "accepted: a number above 0"),
    (f"verify net.onnx net.prototxt {W} --tolerance -1", "accepted: a number above 0"),
    ("convert-mnist --out m", "name the source of mnist"),
    ("convert-mnist --tiny --out m --pad -1", "accepted: a whole number from 0 on"),
    ("summary net.prototxt --phase VAL", "invalid choice: 'VAL'"),
    ("summary net.prototxt --level x", "invalid int value: 'x'"),
    ("train solver.prototxt -sigint_effect die", "invalid choice: 'die'"),
    ("export net.prototxt -o z --fixed-batch \u00b2", "--fixed-batch \u00b2: accepted: a number from 1"),
    ("export net.prototxt -o z --resize nan", "--resize nan: accepted: numbers"),
    ("export net.prototxt -o z --resize 0", "--resize 0: accepted: H,W"),
    ("export net.prototxt -o z --mean-values 1,x", "--mean-values 1,x: accepted: numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "expected"), USAGE)
def test_usage(folder: Folder, command: str, expected: str) -> None:
    before = folder.files()
    result = folder.run(command)
    assert result.status == 2
    assert re.search(expected, result.err)
    assert "Traceback" not in result.err
    assert result.err.count("\n") == 1
    assert folder.files() == before


NEAR: list[tuple[str, str]] = [
    ("train --sover x", "caffe-compat train: error: unrecognized arguments: --sover; did you mean --solver?; see"),
    ("test net.prototxt -wieghts=x", "unrecognized arguments: -wieghts=x; did you mean --weights?; see"),
    ("test net.prototxt --iterations x", "-iterations/--iterations: x: accepted: a whole number from 1 on; see"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "expected"), NEAR)
def test_usage_errors_are_one_line_with_near_names(folder: Folder, command: str, expected: str) -> None:
    result = folder.run(command)
    assert result.status == 2
    assert expected in result.err
    assert re.fullmatch(r"caffe-compat (train|test): error: .*; see caffe-compat \1 --help\n", result.err)


OPTIONS: list[tuple[str, str]] = [
    ("--opset 5", "opset 5 is not supported; accepted: 13 to"),
    ("--scale nan", "scale is nan"),
    ("--resize 4", "resize is 4 x 4, less than the crop to the input, 6 x 6"),
    ("--channel-order RGB", r"channel_order is RGB, which has 3 channel\(s\), but the input has 1"),
    ("--mean-values 1,2,3,4", "4 mean values are given for 1 channels; give 1"),
    ("--input-shape data", "accepted: NAME:N,C,H,W"),
    ("--input-shape dat:1,1,6,6", "input shape for 'dat', which is no input; inputs: data, label"),
    ("--output zz", "output 'zz' is no blob of the net; blobs: conv, fc, prob"),
]


@pytest.mark.parametrize(("option", "expected"), OPTIONS)
def test_options_of_export(folder: Folder, option: str, expected: str) -> None:
    assert re.search(expected, folder.refused(f"export net.prototxt {W} -o z.onnx {option}"))


def test_verify_where_the_data_are_not(folder: Folder) -> None:
    shutil.rmtree(folder.path / "db")
    verify = f"verify net.onnx net.prototxt {W}"
    assert re.search(r"\[4, 3, 3, 3\] in the net.*note: .*--input-shape", folder.refused(verify), re.DOTALL)
    result = folder.run(f"{verify} --input-shape data:1,1,6,6")
    assert (result.status, result.err) == (0, "")


def test_verify_tells_of_layers_without_weights(folder: Folder) -> None:
    folder.edit("net.prototxt", 'name: "fc"', 'name: "other"')
    result = folder.run(f"verify net.onnx net.prototxt {W}")
    assert "note: snap_iter_12.caffemodel: " in result.err
    assert "left as they are (no file has such a layer): 'other'" in result.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
@pytest.mark.parametrize("command", ["train solver.prototxt", "test net.prototxt", "time net.prototxt"])
@pytest.mark.parametrize("gpu", ["0", "all", "x"])
def test_gpu_without_a_gpu(folder: Folder, command: str, gpu: str) -> None:
    message = folder.refused(f"{command} --gpu {gpu}")
    assert re.search(f"--gpu {gpu}: .*no GPU was found", message)


# ---- the program itself


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (KeyboardInterrupt(), 130, "caffe-compat: interrupted"),
        (MemoryError("12 GB"), 1, "not enough memory (12 GB); take smaller batches"),
        (OSError(5, "Input/output error", "db"), 1, "error: db: Input/output error"),
        (TypeError("what?"), 1, "error: TypeError: what?; this is a bug: run again with --debug"),
    ],
)  # fmt: skip
def test_what_nobody_foresaw(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, expected: str
) -> None:
    monkeypatch.setattr("caffe_compat.tools.summary.summary", raising(error))
    result = folder.run("summary net.prototxt")
    assert result.status == status
    assert expected in result.err
    assert "Traceback" not in result.err


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*args: object) -> None:
        raise error

    return fail


def test_debug_shows_the_traceback(folder: Folder) -> None:
    with pytest.raises(Exception, match="there is no file nope"):
        folder.run("summary nope --debug")


TWICE = """
class Twice:
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top): top[0].data[...] = 2 * bottom[0].data
    def backward(self, top, propagate_down, bottom): bottom[0].diff[...] = 2 * top[0].diff
"""


def test_allow_python(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder.path))
    (folder.path / "twice_layer.py").write_text(TWICE)
    python = '"Python" bottom: "conv" top: "p" python_param { module: "twice_layer" layer: "Twice" }'
    folder.edit("net.prototxt", '"ReLU" bottom: "conv" top: "conv"', python)
    folder.edit("net.prototxt", '"Dropout" bottom: "conv" top: "conv"', '"Dropout" bottom: "p" top: "p"')
    folder.edit("net.prototxt", '"InnerProduct" bottom: "conv"', '"InnerProduct" bottom: "p"')
    assert "--allow-python twice_layer" in folder.refused("train solver.prototxt")
    assert folder.run("train solver.prototxt --allow-python twice_layer").status == 0
    assert "layer 'relu' (Python)" in folder.refused("export net.prototxt --allow-python twice_layer -o z.onnx")


def test_help_of_a_command(folder: Folder) -> None:
    assert folder.run("help train").out == folder.run("train --help").out
