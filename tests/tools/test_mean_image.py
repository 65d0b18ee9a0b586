"""compute-image-mean against the files that Caffe's tool wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.errors import DataError
from caffe_compat.tools.mean_image import mean_image
from caffe_compat.weights import read_mean

GOLDEN = Path(__file__).parents[1] / "golden" / "data" / "files" / "databases"


@pytest.mark.parametrize("name", ["raw", "gray"])
def test_the_file_and_the_lines_are_caffes(name: str, tmp_path: Path) -> None:
    lines = mean_image(GOLDEN / f"{name}_db", tmp_path / "mean.binaryproto").splitlines()
    expected = read_mean(GOLDEN / f"{name}_mean.binaryproto")
    np.testing.assert_allclose(read_mean(tmp_path / "mean.binaryproto"), expected, rtol=1e-6)
    assert lines[:2] == [f"Write to {tmp_path / 'mean.binaryproto'}", f"Number of channels: {len(expected)}"]
    assert lines[2] == f"mean_value channel [0]: {expected[0].mean(dtype=np.float64):g}"
    assert len(lines) == 2 + len(expected)


def test_a_missing_data_base_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no data base"):
        mean_image(tmp_path / "db")
