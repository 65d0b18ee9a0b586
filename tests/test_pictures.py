"""Pixels as OpenCV has them. The expected values are OpenCV's own."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffe_compat.errors import DataError
from caffe_compat.pictures import centre_crop, decode, resize

BGR = np.array([[[10, 200, 30], [255, 1, 77]]], np.uint8)


def encoded(pixels: np.ndarray, file_format: str, **options: object) -> bytes:
    """Blue first, as everywhere here; quality 100 for JPEG."""
    file = io.BytesIO()
    Image.fromarray(pixels[..., ::-1]).save(file, file_format, **options)
    return file.getvalue()


def test_resize() -> None:
    rows = np.array([[0, 100, 200, 255]], np.uint8).repeat(4, 0)[:, :, None]
    assert resize(rows, 2, 2)[0, :, 0].tolist() == [50, 228]  # a halving: rounded means
    assert resize(rows, 4, 8)[0, :, 0].tolist() == [0, 25, 75, 125, 175, 214, 241, 255]
    assert resize(rows, 4, 3)[0, :, 0].tolist() == [17, 150, 246]
    assert resize(rows, 4, 4) is rows


def test_resize_at_the_rims_of_columns() -> None:
    """There OpenCV weights the same row twice, which the rounding shows."""
    pixels = np.array([[255, 228], [34, 121]], np.uint8)[:, :, None]
    assert resize(pixels, 5, 3)[:, :, 0].tolist() == [
        [255, 241, 228],
        [233, 225, 217],
        [145, 160, 175],
        [56, 94, 132],
        [34, 77, 121],
    ]


@pytest.mark.parametrize(("file_format", "gray"), [("PNG", [127, 52]), ("BMP", [128, 53])])
def test_gray(file_format: str, gray: list[int]) -> None:
    """libpng cuts the weighted sum off, OpenCV rounds it."""
    assert decode(encoded(BGR, file_format), "gray", "x").ravel().tolist() == gray


def test_cmyk() -> None:
    """A JPEG of the inks of printers, as a few pictures of ImageNet are."""
    file = io.BytesIO()
    Image.fromarray(np.full((1, 1, 4), (10, 100, 200, 50), np.uint8), "CMYK").save(file, "JPEG", quality=100)
    assert decode(file.getvalue(), "color", "x").tolist() == [[[45, 125, 197]]]
    assert decode(file.getvalue(), "gray", "x").tolist() == [[[137]]]


def test_of_16_bits_the_upper_8_count(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0x12FF, 0xFF00]], np.uint16)).save(tmp_path / "deep.png")
    assert decode(tmp_path / "deep.png", "gray", "x").tolist() == [[[0x12], [0xFF]]]
    assert decode(tmp_path / "deep.png", "color", "x").tolist() == [[[0x12] * 3, [0xFF] * 3]]
    with pytest.raises(DataError, match="more than 8 bits"):  # Caffe refuses these, too
        decode(tmp_path / "deep.png", "as stored", "x")


def test_colours_are_blue_first() -> None:
    for color in ("color", "as stored"):
        np.testing.assert_array_equal(decode(encoded(BGR, "PNG"), color, "x"), BGR)


def test_upright() -> None:
    """Tag 6: turned by 90 degrees to the right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(BGR, "PNG", exif=exif)
    assert decode(data, "color", "x").shape == (1, 2, 3)
    np.testing.assert_array_equal(decode(data, "color", "x", upright=True), BGR.transpose(1, 0, 2))


def test_what_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the file x cannot be decoded as an image \(3 bytes\)"):
        decode(b"abc", "color", "the file x")
    Image.fromarray(np.arange(6, dtype=np.float32).reshape(2, 3)).save(tmp_path / "deep.tif")
    with pytest.raises(DataError, match="more than 8 bits"):
        decode(tmp_path / "deep.tif", "color", "x")
    with pytest.raises(DataError, match="1 x 2 cannot be cropped to 2 x 2"):
        centre_crop(BGR, 2, 2)


def test_needs_no_torch() -> None:
    code = "import sys, caffe_compat.pictures; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
