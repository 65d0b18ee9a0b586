"""train: --solver-override, --snapshot auto, --tensorboard, --allow-python; check --allow-python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caffe_compat.cli import main
from caffe_compat.weights.caffemodel import stored_layers
from tests.solver.making import make_experiment


@pytest.fixture(autouse=True)
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_experiment(tmp_path, test_iter=None, test_interval=None)


def train(*options: str) -> int:
    return main(["train", "solver.prototxt", *options])


def weights(path: str) -> list[bytes]:
    return [blob.values.tobytes() for layer in stored_layers(path) for blob in layer.blobs.values()]


def test_overridden_fields_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--solver-override", "max_iter=4", "--solver-override", "snapshot_prefix=other") == 0
    assert Path("other_iter_4.caffemodel").is_file()
    assert "lr = 0.05" in capsys.readouterr().err
    assert train("--solver-override=max_iter=2", "--solver-override=base_lr=0.25") == 0
    assert "lr = 0.25" in capsys.readouterr().err
    assert train("--solver-override", "max_itre=4") == 1
    assert "did you mean 'max_iter'" in capsys.readouterr().err


def test_auto_continues_the_newest_whole_snapshot_bit_for_bit(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--snapshot", "auto") == 0
    assert "found no snapshot snap_iter_N.solverstate: the training starts anew" in capsys.readouterr().err
    whole = weights("snap_iter_12.caffemodel")
    for iteration in (12, 9):
        state = Path(f"snap_iter_{iteration}.solverstate")
        state.write_bytes(state.read_bytes()[:-40] if iteration == 12 else b"")
    model = Path("snap_iter_12.caffemodel")
    model.write_bytes(b"")
    assert train("--snapshot", "auto") == 0
    told = capsys.readouterr().err
    assert "--snapshot auto leaves out snap_iter_12.solverstate: " in told
    assert "--snapshot auto leaves out snap_iter_9.solverstate: " in told
    assert "--snapshot auto continues snap_iter_6.solverstate (iteration 6)" in told
    assert weights("snap_iter_12.caffemodel") == whole


def test_auto_needs_the_weights_of_the_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert train() == 0
    Path("snap_iter_12.caffemodel").write_bytes(b"")
    Path("snap_iter_9.caffemodel").unlink()
    assert train("--snapshot", "auto", "--solver-override", "max_iter=7") == 0
    assert "continues snap_iter_6.solverstate" in capsys.readouterr().err


def test_auto_with_weights_takes_them_only_at_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--solver-override=snapshot_prefix=first") == 0
    options = ("--snapshot", "auto", "--weights", "first_iter_12.caffemodel", "--solver-override=max_iter=3")
    capsys.readouterr()
    assert train(*options) == 0
    assert "Finetuning from first_iter_12.caffemodel" in capsys.readouterr().err
    assert train(*options) == 0
    told = capsys.readouterr().err
    assert "Finetuning" not in told
    assert "continues snap_iter_3.solverstate" in told
    assert train("--snapshot", "snap_iter_3.solverstate", "--weights", "first_iter_12.caffemodel") == 2


def test_an_empty_snapshot_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """As from a variable of a shell that is not set: the training must not start anew."""
    with pytest.raises(SystemExit):
        train("--snapshot", "")
    assert "'' names no file; leave the option out, or name one" in capsys.readouterr().err


def test_tensorboard(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorboard")
    assert train("--tensorboard", "board", "--solver-override=max_iter=4") == 0
    assert list(Path("board").glob("events.out.tfevents.*"))


def test_python_layers_run_where_they_are_allowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(".")
    Path("user_double.py").write_text(
        "class Double:\n"
        "    def setup(self, bottom, top): pass\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)\n"
        "    def forward(self, bottom, top): top[0].data[...] = 2 * bottom[0].data\n"
        "    def backward(self, top, down, bottom): bottom[0].diff[...] = 2 * top[0].diff\n"
    )
    python = 'python_param { module: "user_double" layer: "Double" }'
    layer = f'layer {{ name: "p" type: "Python" bottom: "drop" top: "p" {python} }}'
    fc = 'layer { name: "fc" type: "InnerProduct" bottom: '
    text = Path("net.prototxt").read_text().replace(f'{fc}"conv"', f'{layer}\n{fc}"p"')
    text = text.replace('type: "Dropout" bottom: "conv" top: "conv"', 'type: "Dropout" bottom: "conv" top: "drop"')
    Path("net.prototxt").write_text(text)
    assert train("--solver-override=max_iter=2") == 1
    assert "--allow-python user_double" in capsys.readouterr().err
    assert main(["check", "net.prototxt", "--json", "--jobs", "1"]) == 1
    assert "not allowed" in json.loads(capsys.readouterr().out)[0]["build"]["message"]
    assert main(["check", "net.prototxt", "--json", "--jobs", "1", "--allow-python", "user_double"]) == 1
    row = json.loads(capsys.readouterr().out)[0]
    assert row["train"]["ok"]
    assert "code of your own" in row["export"]["message"]
    assert train("--solver-override=max_iter=2", "--allow-python", "user_double") == 0
