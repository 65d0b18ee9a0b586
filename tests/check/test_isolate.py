"""Files are checked in processes of their own: limits, order, and what a dead one leaves."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.check import as_text, check_all, find_files
from caffe_compat.check import isolate as isolate_module
from caffe_compat.check.stages import STAGES, blank_row
from caffe_compat.cli import main
from caffe_compat.errors import CaffeCompatError

GOOD = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 5 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: N } }
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="stubs reach the other process by fork; memory limit")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, outputs: str = "3") -> Path:
    Path(name).write_text(GOOD.replace("N", outputs))
    return Path(name)


def broken_check(path: Path, tell: Any) -> dict[str, Any]:
    """Stands for a file that hangs a library, or kills its process, while it is built."""
    row = blank_row(path)
    row["parse"] = {"ok": True, "message": "", "seconds": 0.1}
    tell({**row, "stage": "build", "unfinished": True})
    if path.stem == "hangs":
        time.sleep(60)
    if path.stem == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    return row


@linux
def test_a_file_that_hangs_or_dies_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate_module, "check_file", broken_check)
    paths = [Path(f"{name}.prototxt") for name in ("hangs", "good", "dies", "fine")]
    start = time.monotonic()
    rows = list(check_all(paths, seconds=2, workers=2))
    assert time.monotonic() - start < 30
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    assert rows[0]["build"] == {"ok": False, "message": "stopped after 2 s, the limit of time per file", "seconds": 0.0}
    assert "the process died (exit status -9)" in rows[2]["build"]["message"]
    assert all(row["parse"]["ok"] for row in rows)
    assert all(set(row) == set(blank_row(Path("x"))) for row in rows)


@linux
def test_a_file_that_needs_too_much_memory() -> None:
    big, good = write("big.prototxt", "400000000"), write("good.prototxt")
    rows = list(check_all([big, good], gigabytes=3))
    assert not rows[0]["build"]["ok"] or not rows[0]["export"]["ok"]
    assert all(rows[1][stage]["ok"] for stage in STAGES if rows[1][stage])


def test_json_of_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("nets/deep").mkdir(parents=True)
    write("nets/good.prototxt")
    write("nets/deep/template.prototxt", "cls3x")
    Path("nets/notes.txt").write_text("not looked at")
    assert main(["check", "nets", "--json", "--jobs", "2"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in rows] == ["nets/deep/template.prototxt", "nets/good.prototxt"]
    assert [row["build"]["ok"] for row in rows] == [False, True]
    assert list(rows[0]) == ["path", "kind", "layer_types", "unsupported", *STAGES]
    assert main(["check", "nets/good.prototxt"]) == 0


def test_report() -> None:
    failed = {"ok": False, "seconds": 0.0}
    rows = [blank_row(Path(f"{name}.prototxt")) for name in ("a", "b", "c")]
    for row in rows:
        row["kind"], row["parse"] = "net", {"ok": True, "message": "", "seconds": 0.0}
    for row, line in zip(rows, (3, 12), strict=False):
        row["build"] = {**failed, "message": f"{row['path']}:{line}:1: 'BOTH' is no value of 'phase'"}
    rows[2]["unsupported"] = ["Permute", "Normalize"]
    rows[2]["build"] = {**failed, "message": "layer 'p' (Permute), c.prototxt:3:1: unknown layer type 'Permute'"}
    lines = as_text(rows).splitlines()
    assert lines[1].split() == ["a.prototxt", "net", "yes", "NO", "-", "-", "-"]
    assert "  parse: 3 of 3" in lines
    assert "  build: 0 of 3" in lines
    assert lines[-3:] == [
        "    2  build: 'BOTH' is no value of 'phase'  (e.g. a.prototxt)",
        "    1  layer type Permute is not supported  (e.g. c.prototxt)",
        "    1  layer type Normalize is not supported  (e.g. c.prototxt)",
    ]


def test_names_that_do_not_exist() -> None:
    with pytest.raises(CaffeCompatError, match="nowhere, here: no such file or folder"):
        find_files(["nowhere", "here"])


@pytest.mark.parametrize("name", ["nofile", "no.caffemodel", "a" * 300])
def test_a_name_that_does_not_exist_stops_no_other(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    write("good.prototxt")
    assert main(["check", "good.prototxt", name, "good.prototxt", "--json", "--jobs", "1"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in rows] == ["good.prototxt", name, "good.prototxt"]
    assert [row["parse"]["ok"] for row in rows] == [True, False, True]
    missing = {"ok": False, "message": "no such file or folder", "seconds": 0.0}
    assert rows[1] == {**blank_row(Path(name)), "parse": missing}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    write("secret.prototxt").chmod(0)
    assert main(["check", "secret.prototxt", "--json", "--jobs", "1"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["parse"]["message"] == "Permission denied"


@linux
def test_an_endless_device_is_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "/dev/zero", "--json", "--jobs", "1"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["parse"]["message"] == "a device, not a file"
