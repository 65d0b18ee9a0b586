"""Layers of the user's own, from the command line: --import MODULE, or --import FILE.py."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from caffe_compat.layers.registry import LAYERS
from tests.cli.running import Folder

LAYER = '''
from helper_of_mine import times

from caffe_compat import Layer, register_layer


@register_layer("MyScale", block="my_scale_param", fields={"alpha": 0.5})
class MyScale(Layer):
    """y = alpha * x. Bottom: x, any shape. Top: y, the same shape."""

    def __init__(self, alpha: float = 0.5) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x):
        return times(self.alpha, x)

    def lower(self, g, x):
        return g.scaled(x, self.alpha)
'''
OWN = 'layer { name: "mine" type: "MyScale" bottom: "fc" top: "mine" my_scale_param { alpha: 2 } }\n'
W = "--weights snap_iter_12.caffemodel"


@pytest.fixture
def own(folder: Folder) -> Iterator[Folder]:
    """The experiment with a layer of the type MyScale, which my_layers.py registers."""
    (folder.path / "my_layers.py").write_text(LAYER)
    (folder.path / "helper_of_mine.py").write_text("def times(alpha, x):\n    return alpha * x\n")
    loss = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc"'
    folder.edit("net.prototxt", loss, OWN + loss.replace('"fc"', '"mine"'))
    layers, modules, path = dict(LAYERS), set(sys.modules), list(sys.path)
    yield folder
    LAYERS.clear()
    LAYERS.update(layers)
    for name in set(sys.modules) - modules:
        if name.startswith(("my_layers", "helper_of_mine")):
            del sys.modules[name]
    sys.path[:] = path


COMMANDS = [
    "train solver.prototxt",
    f"test net.prototxt {W} --iterations 1",
    f"time net.prototxt {W} --iterations 1",
    f"export net.prototxt {W} -o out.onnx",
    "deploy net.prototxt -o deploy.prototxt",
    "check net.prototxt",
    "summary net.prototxt",
    "layers MyScale",
    f"extract-features {W[10:]} net.prototxt mine mine.npz 1",
    "upgrade net.prototxt new.prototxt",
    "draw net.prototxt net.svg",
    f"convert {W[10:]} out.npz --model net.prototxt",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(own: Folder, command: str) -> None:
    result = own.run(f"{command} --import my_layers")
    assert result.status == 0, result.err + result.out
    assert "note: " not in result.err or "left as they are" in result.err


def test_a_file_and_what_lies_beside_it(own: Folder) -> None:
    """The deploy form keeps the user's block; verify and evaluate build the net, too."""
    (own.path / "lib").mkdir()
    for name in ("my_layers.py", "helper_of_mine.py"):
        (own.path / name).rename(own.path / "lib" / name)
    code = f"--import {Path('lib') / 'my_layers.py'}"
    assert own.run(f"export net.prototxt {W} -o out.onnx {code}").status == 0
    assert own.run(f"deploy net.prototxt -o deploy.prototxt {code} {code}").status == 0
    assert re.search(r"my_scale_param \{\s+alpha: 2\s+\}", (own.path / "deploy.prototxt").read_text())
    assert own.run(f"verify out.onnx deploy.prototxt {W} {code}").status == 0
    assert own.run(f"evaluate out.onnx net.prototxt {code}").status == 0


def test_its_page(own: Folder) -> None:
    page = own.run("layers MyScale --import my_layers.py").out
    assert page.startswith("MyScale (my_layers, of your own)\n\ny = alpha * x.")
    assert re.search(r"my_scale_param.alpha +double, default 0.5", page)


def test_without_it_no_code_runs(own: Folder) -> None:
    message = own.refused("summary net.prototxt")
    assert "unknown layer type 'MyScale'" in message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no_such_module", "", "--import no_such_module: there is no module 'no_such_module'; give the name"),
        ("no/such.py", "", "--import no/such.py: there is no such file; give the name"),
        ("bad.py", "\nx = 1 +\n", r"--import bad.py: .*bad.py:2: invalid syntax"),
        ("bad.py", "import nowhere_to_be_found", r"bad.py:1: ModuleNotFoundError: No module named 'nowhere_to"),
        ("bad.py", "def f():\n    return 1 / 0\nf()\n", r"bad.py:2: ZeroDivisionError: division by zero"),
        ("bad", "raise ValueError('no')", r"--import bad: .*bad.py:1: ValueError: no"),
    ],
)
def test_what_fails(own: Folder, name: str, content: str, message: str) -> None:
    if content:
        (own.path / "bad.py").write_text(content)
    assert re.search(message, own.refused(f"summary net.prototxt --import {name}"))
