"""Caffe's program takes every flag with every command, and those of its log: here, too, without effect."""

from __future__ import annotations

import pytest

from tests.cli.running import Folder

GLOG = [
    "-logtostderr=1", "--logtostderr", "-alsologtostderr", "--nologtostderr", "--minloglevel=2", "--v=3", "-v 3",
    "--stderrthreshold 1", "--minloglevel 0",
]  # fmt: skip


@pytest.mark.parametrize("flag", GLOG)
@pytest.mark.parametrize("command", ["device_query", "test {} net.prototxt --iterations 1"])
def test_flags_of_the_log(folder: Folder, command: str, flag: str) -> None:
    words = command.format(flag) if "{" in command else f"{command} {flag}"
    result = folder.run(words)
    assert result.status == 0, result.err
    assert "note" not in result.err


def test_training_with_flags_of_other_commands(folder: Folder) -> None:
    flags = "--logtostderr solver.prototxt -iterations 5 --phase=TEST --model x.prototxt"
    result = folder.run(f"train {flags} --solver-override max_iter=1")
    assert result.status == 0, result.err
    told = "note: --iterations, --phase, --model: ignored, as by Caffe, whose train does not use it\n"
    assert result.err.count("note: ") == 1
    assert told in result.err


OTHERS = [
    ("test net.prototxt --iterations 1", "--phase TRAIN"),
    ("test net.prototxt --iterations 1", "-solver=s.prototxt"),
    ("test net.prototxt --iterations 1", "--snapshot x.solverstate"),
    ("time net.prototxt --iterations 1", "--sighup_effect=none"),
    ("time net.prototxt --iterations 1", "-sigint_effect stop"),
    ("device_query", "--level 1"),
    ("device_query", "--stage a"),
    ("device_query", "--weights w.caffemodel"),
    ("device_query", "--iterations=3"),
]


@pytest.mark.parametrize(("command", "flag"), OTHERS)
def test_flags_of_other_commands(folder: Folder, command: str, flag: str) -> None:
    result = folder.run(f"{command} {flag}")
    assert result.status == 0, result.err
    name = flag.replace("=", " ").split()[0].strip("-")
    assert f"note: --{name}: ignored, as by Caffe" in result.err


def test_where_the_log_goes_is_told(folder: Folder) -> None:
    result = folder.run("train solver.prototxt --log_dir=logs --solver-override max_iter=1")
    assert result.status == 0
    assert "note: --log_dir: ignored; the log goes to stderr, which 2> FILE writes into a file" in result.err
    assert not (folder.path / "logs").exists()


def test_other_commands_do_not_take_them(folder: Folder) -> None:
    assert folder.run("summary net.prototxt --logtostderr").status == 2
    assert folder.run("export net.prototxt --iterations 5").status == 2
    assert "--iterations: expected one argument" in folder.run("train solver.prototxt --iterations").err


def test_they_are_not_in_the_help(folder: Folder) -> None:
    assert "--iterations" not in folder.run("train --help").out
    assert "logtostderr" not in folder.run("test --help").out


def test_a_warning_is_a_note(folder: Folder) -> None:
    memory = """
        layer { name: "m" type: "MemoryData" top: "data" top: "label" transform_param { scale: 2 }
          memory_data_param { batch_size: 2 channels: 1 height: 4 width: 4 } }
        layer { name: "r" type: "ReLU" bottom: "data" top: "r" }"""
    (folder.path / "memory.prototxt").write_text(memory)
    result = folder.run("summary memory.prototxt")
    assert result.status == 0
    assert "caffe-compat: note: MemoryData does not apply transform_param to arrays, as in Caffe" in result.err
    assert ".py" not in result.err
