"""A trained and exported experiment, made once; every test works in a copy of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.cli import main
from tests.cli.running import Folder, copied
from tests.solver.making import make_experiment


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.prototxt, solver.prototxt, db, snap_iter_{3..12}.{caffemodel,solverstate}, net.onnx, a.png."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "solver.prototxt"]) == 0
        assert main(["export", "net.prototxt", "--weights", "snap_iter_12.caffemodel", "-o", "net.onnx"]) == 0
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "a.png")
    return folder


@pytest.fixture
def folder(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Folder:
    """The copy, which is also the working directory."""
    path = copied(experiment, tmp_path / "run")
    monkeypatch.chdir(path)
    return Folder(path, capsys)
