"""The small real data sets that come with the package."""

from __future__ import annotations

from pathlib import Path

from caffe_compat.errors import DataError

_FOLDER = Path(__file__).with_name("tiny")


def tiny(name: str) -> Path:
    """The .npz of "mnist" (2,000 training and 500 test images) or "cifar10" (1,000 and 200).

    It holds ``train_images`` and ``test_images``, uint8 (N, C, H, W), and ``train_labels`` and ``test_labels``.
    """
    names = sorted(path.stem for path in _FOLDER.glob("*.npz"))
    if name not in names:
        raise DataError(f'no tiny data set "{name}"; there are: {", ".join(names)}')
    return _FOLDER / f"{name}.npz"
