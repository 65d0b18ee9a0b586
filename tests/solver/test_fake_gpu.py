"""Between two displays nothing waits for the GPU, on one that is not there: see ``fake_gpu``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration

ROOT = Path(__file__).parents[2]
WAITING = {"Filter": ["DynamicOutputShapeException: aten.nonzero.default"]}
"""Layers that say that they wait."""


@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch has no devices written in Python",
)
def test_nothing_waits_for_the_gpu(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.solver.fake_gpu"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results: dict[str, list[str]] = json.loads(done.stdout)
    assert {"lenet", "cifar10", "alexnet", "googlenet", "resnet50", "lstm", "rare", "Adam"} <= results.keys()
    assert {name: found for name, found in results.items() if found} == WAITING
