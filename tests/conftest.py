"""Options, markers and fixtures of the whole suite."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).parents[2] / "shared"
DEFAULT_GOLDEN = Path(__file__).parent / "golden" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes, too")
    parser.addoption(
        "--golden",
        type=Path,
        default=DEFAULT_GOLDEN,
        metavar="DIR",
        help="folder of golden values of the real Caffe for tests/golden (default: tests/golden/data)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden(*finders): runs once for each case found in the --golden folder")
    torch.set_num_threads(1)  # the nets are tiny: more threads cost time, and xdist may use the other cores


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what this machine or this run is not meant for."""
    gpu, slow = torch.cuda.is_available(), config.getoption("--slow")
    for item in items:
        if item.get_closest_marker("gpu") and not gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        if item.get_closest_marker("slow") and not slow:
            item.add_marker(pytest.mark.skip(reason="takes minutes; run with --slow"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the corpus and the papers beside the checkout; a test that needs it is skipped elsewhere."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared beside the checkout")
    return SHARED
