"""The structure: imports go down the floors, starting up brings no heavy package, one command is one file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "caffe_compat"
FLOORS = [
    {"errors", "files", "pictures"}, {"proto"}, {"layers"}, {"net"}, {"weights", "data"}, {"solver", "export"}, {"api"},
    {"check", "tools"}, {"cli"}, {"__main__"},
]  # fmt: skip
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = ("torch", "onnx", "onnxruntime", "google.protobuf", "numpy", "lmdb", "PIL", "matplotlib")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(module, whether only for type checking) of every import of a file."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in typing_only
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in typing_only


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room == "__init__":
        return
    for module, typing_only in imports(path):
        parts = module.split(".")
        if parts[0] != "caffe_compat" or typing_only or len(parts) == 1:
            continue
        assert FLOOR[parts[1]] <= FLOOR[room], f"{path.name} of {room} imports {module}, which lies above"
        assert parts[1] == room or FLOOR[parts[1]] < FLOOR[room] or {room, parts[1]} <= FLOORS[1] | {
            "weights", "data", "errors", "files", "pictures", "check", "tools",
        }, f"{path.name} of {room} imports {module} on the same floor"  # fmt: skip


@pytest.mark.parametrize("path", sorted((PACKAGE / "layers").rglob("*.py")), ids=lambda path: path.name)
def test_layers_know_no_onnx_and_no_data_base(path: Path) -> None:
    named = {module.split(".")[0] for module, typing_only in imports(path) if not typing_only}
    assert named.isdisjoint({"onnx", "onnxruntime", "lmdb", "h5py"})


@pytest.mark.parametrize("module", ["caffe_compat", "caffe_compat.cli"])
def test_starting_up_brings_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_users_own_layers_py_does_not_shadow_ours(tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text("raise ImportError('the wrong one')")
    (tmp_path / "export.py").write_text("raise ImportError('the wrong one')")
    code = "import caffe_compat; print(caffe_compat.register_layer.__module__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert run.stdout.strip() == "caffe_compat.layers.registry", run.stderr


def test_every_command_has_its_file() -> None:
    from caffe_compat.cli import COMMANDS

    files = {path.stem.replace("_", "-") for path in (PACKAGE / "cli").glob("*.py")} - {"--init--", "options", "parser"}
    assert files == set(COMMANDS)
