"""upgrade against what Caffe's upgrade tools wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_compat.cli import main
from caffe_compat.errors import PrototxtError
from caffe_compat.proto import pb, read_binary, read_solver
from caffe_compat.tools.upgrading import upgrade_file
from caffe_compat.weights.caffemodel import stored_layers

GOLDEN = Path(__file__).parents[1] / "golden" / "data" / "files"
NAMES = ("input", "v0", "v1", "solver_adagrad", "solver_nesterov")


@pytest.mark.parametrize("name", NAMES)
def test_text_is_caffes_to_the_letter(name: str, tmp_path: Path) -> None:
    kind, notes = upgrade_file(GOLDEN / "upgrade" / f"{name}.prototxt", tmp_path / "new.prototxt")
    assert (tmp_path / "new.prototxt").read_text() == (GOLDEN / "upgrade" / f"{name}.upgraded.prototxt").read_text()
    assert kind == ("solver, text" if "solver" in name else "net, text")
    assert f"{name}.prototxt:" in notes[0]
    assert upgrade_file(tmp_path / "new.prototxt", tmp_path / "new.prototxt") == (kind, [])


@pytest.mark.parametrize("name", ["upgrade_net_proto_text", "upgrade_solver_proto_text", "upgrade_net_proto_text.bin"])
def test_caffes_names_of_the_tools(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = "solver_adagrad" if "solver" in name else "v1"
    assert main([name, str(GOLDEN / "upgrade" / f"{old}.prototxt"), str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_text() == (GOLDEN / "upgrade" / f"{old}.upgraded.prototxt").read_text()
    assert "upgraded" in capsys.readouterr().out


def test_binary_nets_stay_binary(tmp_path: Path) -> None:
    old = next(path for path in sorted((GOLDEN / "weights_legacy").glob("*v1*.caffemodel")))
    kind, _ = upgrade_file(old, tmp_path / "new.caffemodel")
    assert kind == "net, binary"
    assert read_binary(tmp_path / "new.caffemodel", "NetParameter").layer
    for left, right in zip(stored_layers(old), stored_layers(tmp_path / "new.caffemodel"), strict=True):
        assert left.name == right.name
        for index, blob in left.blobs.items():
            assert blob.values.tolist() == right.blobs[index].values.tolist()


def test_binary_solvers_are_recognised(tmp_path: Path) -> None:
    solver = pb.SolverParameter(
        net="net.prototxt", base_lr=0.1, solver_type=pb.enum_value("SolverParameter.SolverType", "ADAM")
    )
    (tmp_path / "solver.bin").write_bytes(solver.SerializeToString())
    kind, notes = upgrade_file(tmp_path / "solver.bin", tmp_path / "new.bin")
    assert (kind, len(notes)) == ("solver, binary", 1)
    assert read_binary(tmp_path / "new.bin", "SolverParameter").type == "Adam"


def test_solvers_with_their_net_inside_are_solvers(tmp_path: Path) -> None:
    (tmp_path / "solver.prototxt").write_text('net_param { layers { name: "r" type: RELU bottom: "x" top: "x" } }')
    kind, _ = upgrade_file(tmp_path / "solver.prototxt", tmp_path / "new.prototxt")
    assert kind == "solver, text"
    assert read_solver(tmp_path / "new.prototxt").message.net_param.layer[0].type == "ReLU"


def test_nothing_is_written_for_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text('layer { name: "x" ')
    (tmp_path / "out.prototxt").write_text("old")
    with pytest.raises(PrototxtError, match=r"net\.prototxt:1:\d+: the file ends inside"):
        upgrade_file(tmp_path / "net.prototxt", tmp_path / "out.prototxt")
    (tmp_path / "net.caffemodel").write_bytes(b"\x0a\x7fabc")
    with pytest.raises(PrototxtError, match=r"net\.caffemodel is not a binary NetParameter"):
        upgrade_file(tmp_path / "net.caffemodel", tmp_path / "out.prototxt")
    assert (tmp_path / "out.prototxt").read_text() == "old"


def test_what_is_dropped_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text('layer { name: "x" type: "ReLU" strange: 3 }')
    _, notes = upgrade_file(tmp_path / "net.prototxt", tmp_path / "out.prototxt")
    assert notes == [note for note in notes if "unknown field 'strange'" in note and note.endswith("not written")]
