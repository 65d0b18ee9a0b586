"""Files and texts: which is which, missing and damaged files, binary files."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import pb, read_binary, read_net, read_solver

NET = 'name: "n"\nlayer { name: "a" }\n'


@pytest.mark.parametrize("text", [NET, 'name: "n"', "layer{}", '# c\nname: "n"', "layer <>", "\n"])
def test_texts(text: str) -> None:
    assert read_net(text).source == "<text>"


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "net{1}: a.prototxt"
    file.write_text(NET)
    monkeypatch.chdir(tmp_path)
    for name in (file, str(file), file.name):
        document = read_net(name)
        assert document.message.name == "n"
        assert document.source == str(name)


@pytest.mark.parametrize("name", ["nets.prototxt", "./nets.prototxt", "C:\\nets.prototxt"])
def test_a_missing_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PrototxtError, match=r"^there is no file (.*)nets.prototxt; did you mean (.*)net.prototxt"):
        read_net(name)


def test_a_missing_folder() -> None:
    with pytest.raises(
        PrototxtError, match=r"there is no file no/such/net.prototxt \(there is no folder no/such either\)"
    ):
        read_net("no/such/net.prototxt")


def test_an_empty_name() -> None:
    with pytest.raises(PrototxtError, match="the name of the file is empty"):
        read_net("")


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    with pytest.raises(PrototxtError, match=r"is a folder; it holds .*net.prototxt"):
        read_net(tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (NET.encode("utf-16"), "is in UTF-16; save it as UTF-8"),
        (pb.NetParameter(name="n", layer=[pb.LayerParameter(name="\0")]).SerializeToString(), "is a binary file"),
        (b"model_v2/net.prototxt\n", "holds only a file's name, model_v2/net.prototxt"),
    ],
)
def test_other_files(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(PrototxtError, match=message):
        read_net(tmp_path / "f")


def test_encodings(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b'\xef\xbb\xbf# Gr\xfc\xdfe\r\nname: "\xc3\xa4"\r\n')
    assert read_net(file).message.name == "ä"
    file.write_bytes(b'# \xff\nname: "\xe4"')
    document = read_net(file)
    assert document.message.name == "ä"
    assert document.notes == [f"{file}:2:7: the string of 'name' is not UTF-8: read as Latin-1"]


def test_strict(tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    file.write_text(NET + "foo: 1\nbar { a: 2 }\n")
    assert len(read_net(file).notes) == 2
    with pytest.raises(PrototxtError, match=r"net.prototxt:3:1: unknown field 'foo'(?s:.*):4:1: unknown field 'bar'"):
        read_net(file, strict=True)
    with pytest.raises(PrototxtError, match="unknown field 'max_itr'"):
        read_solver('net: "n"\nmax_itr: 3', strict=True)


def test_snapshot_prefix(tmp_path: Path) -> None:
    file = tmp_path / "solver.prototxt"
    file.write_text("max_iter: 1")
    assert read_solver(file).message.snapshot_prefix == str(tmp_path / "solver")
    file.write_text(f'snapshot_prefix: "{tmp_path}"')
    assert read_solver(file).message.snapshot_prefix == str(tmp_path / "solver")
    file.write_text(f'snapshot_prefix: "{tmp_path}/s"')
    assert read_solver(file).message.snapshot_prefix == f"{tmp_path}/s"
    assert not read_solver("max_iter: 1\n").message.HasField("snapshot_prefix")


class TestBinary:
    net = pb.NetParameter(name="n", layer=[pb.LayerParameter(name="a" * 100)])

    def test_round_trip(self, tmp_path: Path) -> None:
        data = self.net.SerializeToString()
        (tmp_path / "f").write_bytes(data)
        assert read_binary(tmp_path / "f", "NetParameter") == self.net
        assert read_binary(str(tmp_path / "f"), "NetParameter") == self.net
        assert read_binary(data, "NetParameter") == self.net

    def test_truncated(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(self.net.SerializeToString()[:-3])
        with pytest.raises(PrototxtError, match=r"f is not a binary NetParameter: truncated or damaged"):
            read_binary(tmp_path / "f", "NetParameter")

    @pytest.mark.parametrize("data", [b"\xff" * 20, NET.encode(), b"\x89HDF\r\n\x1a\n", b"\x98\x75\x01"])
    def test_damaged(self, data: bytes) -> None:
        with pytest.raises(PrototxtError, match=r"the data is (not a binary NetParameter|an HDF5 file)"):
            read_binary(data, "NetParameter")

    def test_missing(self) -> None:
        with pytest.raises(PrototxtError, match=r"there is no file no\.caffemodel"):
            read_binary("no.caffemodel", "NetParameter")
