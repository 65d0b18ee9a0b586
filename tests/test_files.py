"""Files and folders are whole or not there."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from caffe_compat.errors import CaffeCompatError, DataError, WeightsError
from caffe_compat.files import atomic_folder, atomic_write, is_device, refused_as


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_file_and_an_old_one(tmp_path: Path) -> None:
    for text in (b"first", b"second"):
        with atomic_write(tmp_path / "a") as file:
            file.write(text)
            assert content(tmp_path).get("a") != text
        assert content(tmp_path) == {"a": text}


def test_text_is_utf8(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a", "w") as file:
        file.write("ä")
    assert content(tmp_path) == {"a": "ä".encode()}


def _write_and_raise(path: Path, error: type[BaseException]) -> None:
    with atomic_write(path) as file:
        file.write(b"new")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_alone(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(error):
        _write_and_raise(tmp_path / "a", error)
    assert content(tmp_path) == {"a": b"old"}


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "may not write"), (errno.EIO, "check the disk")],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_the_system_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str, call: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(CaffeCompatError, match=f"cannot write .*a: .*{remedy}"), atomic_write(tmp_path / "a") as file:
        file.write(b"new")
    assert content(tmp_path) == {"a": b"old"}


def test_a_device_is_not_replaced() -> None:
    """As root, renaming over /dev/full would."""
    with (
        pytest.raises(CaffeCompatError, match="folder or a device"),
        atomic_write("/dev/full"),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "message"), [("none/a", "does not exist"), ("file/a", "is a file, not a folder"), ("x" * 300, "too long")]
)
def test_paths_that_cannot_be(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CaffeCompatError, match=message), atomic_write(tmp_path / name):
        pass


def test_an_error_about_another_file_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
        (tmp_path / "none").read_bytes()


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


KILLED = """
import os, sys
from caffe_compat.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_is_cleaned_by_the_next_write(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    killed = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "a")])
    killed.wait(60)
    assert content(tmp_path) == {"a": b"old", f".a.{killed.pid}.tmp": b"half"}
    living = tmp_path / f".a.{os.getppid()}.tmp"
    living.write_bytes(b"of a process that lives")
    (tmp_path / f".b.{killed.pid}.tmp").write_bytes(b"another file's")
    (tmp_path / f".a.{os.getpid()}.tmp").write_bytes(b"of a process that had our number")
    with atomic_write(tmp_path / "a") as file:
        file.write(b"new")
    assert set(content(tmp_path)) == {"a", living.name, f".b.{killed.pid}.tmp"}


def test_one_file_is_written_once_at_a_time(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a") as outer:
        outer.write(b"outer")
        with pytest.raises(CaffeCompatError, match="already"), atomic_write(tmp_path / "a"):
            pass
    assert content(tmp_path) == {"a": b"outer"}


def test_a_folder(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "f") as folder:
        (folder / "x").write_bytes(b"1")
        assert not (tmp_path / "f").exists()
    with pytest.raises(CaffeCompatError, match="exists already"), atomic_folder(tmp_path / "f"):
        pass
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "f", overwrite=True) as folder:
        (folder / "x").write_bytes((tmp_path / "none").read_bytes())
    assert content(tmp_path / "f") == {"x": b"1"}
    with atomic_folder(tmp_path / "f", overwrite=True) as folder:
        (folder / "y").write_bytes(b"2")
    assert content(tmp_path / "f") == {"y": b"2"}
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "x").write_bytes(b"old")
    rename = os.rename

    def refuse(source: Path, target: Path) -> None:
        if str(source).endswith(".tmp"):
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(CaffeCompatError, match="disk is full"), atomic_folder(tmp_path / "f", overwrite=True):
        pass
    assert content(tmp_path / "f") == {"x": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_refusal_is_of_the_room_that_writes(tmp_path: Path) -> None:
    refused = pytest.raises(WeightsError, match="the folder does not exist")
    with refused, refused_as(WeightsError), atomic_write(tmp_path / "no" / "a"):
        pass
    with pytest.raises(DataError, match="own"), refused_as(WeightsError):
        raise DataError("own")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's devices")
def test_devices_are_told_from_files_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    os.mkfifo(tmp_path / "pipe")
    assert is_device("/dev/full")
    assert is_device(Path("/dev/zero"))
    assert not any(is_device(path) for path in (tmp_path / "a", tmp_path / "pipe", tmp_path / "none", "/dev/stdin"))
