"""Layers, records and readers for the tests of the data sources."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format

import caffe_compat.data  # noqa: F401 - registers the openers
from caffe_compat.data.lmdb_write import write_lmdb
from caffe_compat.layers.source import Source, open_source
from caffe_compat.proto import pb


def layer(text: str) -> Any:
    """The LayerParameter of ``text``, the inside of a layer block."""
    message = pb.LayerParameter()
    text_format.Parse(text, message)
    return message


def data_layer(source: Path, batch_size: int, data: str = "", transform: str = "", tops: int = 2) -> Any:
    names = " ".join(f'top: "{name}"' for name in ("data", "label")[:tops])
    return layer(
        f'name: "d" type: "Data" {names} data_param {{ source: "{source}" backend: LMDB batch_size: {batch_size} '
        f"{data} }} transform_param {{ {transform} }}"
    )


def open_layer(message: Any, phase: str = "TEST", seed: int = 1, base_dir: Path = Path()) -> Source:
    return open_source(message.type, message, phase, len(message.top), seed, base_dir)


def images(count: int, shape: tuple[int, int, int] = (2, 5, 4), seed: int = 0) -> np.ndarray:
    """Random images, uint8 (count, C, H, W)."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def datums(pixels: Iterable[np.ndarray]) -> list[Any]:
    """Raw Datum messages whose labels count from 0."""
    return [
        pb.Datum(channels=p.shape[0], height=p.shape[1], width=p.shape[2], data=p.tobytes(), label=i)
        for i, p in enumerate(pixels)
    ]


def database(path: Path, pixels: Iterable[np.ndarray]) -> Path:
    path.parent.mkdir(exist_ok=True)
    write_lmdb(path, datums(pixels))
    return path


def take(source: Source, count: int) -> list[tuple[np.ndarray, ...]]:
    """The next ``count`` batches as arrays."""
    return [tuple(top.numpy() for top in source.next()) for _ in range(count)]


def same(left: list[tuple[np.ndarray, ...]], right: list[tuple[np.ndarray, ...]]) -> bool:
    return all(np.array_equal(a, b) for x, y in zip(left, right, strict=True) for a, b in zip(x, y, strict=True))
