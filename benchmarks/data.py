"""Reading data: images a second of every source, beside a plain loop over the same files with numpy and Pillow.

``python benchmarks/data.py [--images 600] [--workers 1]``: a data set of 96 x 96 colour images (crop 80, mirror, mean,
scale) is written to a temporary folder and read twice over by each source and by its plain loop, in turn, nine times.
Told are the medians, and the median of the ratios of neighbours, because the machine's speed drifts. The plain loop
does the same work one image after the other: read, decode, crop, mirror, subtract, scale, stack. HDF5: rows as they
are.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import h5py
import lmdb
import numpy as np
from google.protobuf import text_format
from PIL import Image

import caffe_compat.data  # noqa: F401 - registers the sources
from caffe_compat.data.imageset import convert_imageset
from caffe_compat.data.prefetch import WORKERS
from caffe_compat.layers.source import open_source
from caffe_compat.proto import pb

SIZE, CROP, BATCH, ROUNDS, PASSES = 96, 80, 50, 9, 2
MEAN, SCALE = 117.0, 1 / 128
TRANSFORM = f"transform_param {{ crop_size: {CROP} mirror: true mean_value: {MEAN} scale: {SCALE} }}"
TOPS = 'top: "data" top: "label"'


def write_files(folder: Path, count: int) -> None:
    """JPEG files with their list, an LMDB of pixels, one of JPEGs, and an HDF5 file of rows as the net gets them."""
    random = np.random.default_rng(0)
    pixels = []
    for number in range(count):
        small = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        image.save(folder / f"{number}.jpg", quality=90)
        pixels.append(np.asarray(image).transpose(2, 0, 1)[:, :CROP, :CROP])
    (folder / "list.txt").write_text("".join(f"{folder}/{number}.jpg {number % 10}\n" for number in range(count)))
    convert_imageset("", folder / "list.txt", folder / "raw")
    convert_imageset("", folder / "list.txt", folder / "jpeg", encoded=True)
    with h5py.File(folder / "rows.h5", "w") as file:
        file["data"] = np.stack(pixels).astype(np.float32)
        file["label"] = np.arange(count, dtype=np.float32)
    (folder / "rows.txt").write_text(f"{folder}/rows.h5\n")


def layers(folder: Path) -> dict[str, str]:
    """The layer of every source."""
    data = f'type: "Data" {TOPS} data_param {{ source: "{folder}/%s" backend: LMDB batch_size: {BATCH} }} {TRANSFORM}'
    images = f'image_data_param {{ source: "{folder}/list.txt" batch_size: {BATCH} }}'
    rows = f'hdf5_data_param {{ source: "{folder}/rows.txt" batch_size: {BATCH} }}'
    return {
        "LMDB of pixels": data % "raw",
        "LMDB of JPEGs": data % "jpeg",
        "ImageData": f'type: "ImageData" {TOPS} {images} {TRANSFORM}',
        "HDF5Data": f'type: "HDF5Data" {TOPS} {rows}',
    }


def read_source(text: str, count: int) -> None:
    message = pb.LayerParameter()
    text_format.Parse(text, message)
    with open_source(message.type, message, "TRAIN", 2, 1, Path()) as source:
        for _ in range(PASSES * count // BATCH):
            source.next()


# ---- the same by hand


def lmdb_records(path: Path) -> Iterator[pb.Datum]:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        for _ in range(PASSES):
            for value in transaction.cursor().iternext(keys=False, values=True):
                yield pb.Datum.FromString(value)


def raw_images(folder: Path) -> Iterator[np.ndarray]:
    for datum in lmdb_records(folder / "raw"):
        yield np.frombuffer(datum.data, np.uint8).reshape(datum.channels, datum.height, datum.width)


def jpeg_images(folder: Path) -> Iterator[np.ndarray]:
    for datum in lmdb_records(folder / "jpeg"):
        yield decoded(io.BytesIO(datum.data))


def listed_images(folder: Path) -> Iterator[np.ndarray]:
    for _ in range(PASSES):
        for line in (folder / "list.txt").read_text().splitlines():
            yield decoded(line.rsplit(" ", 1)[0])


def decoded(file: str | io.BytesIO) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))[:, :, ::-1].transpose(2, 0, 1)


def transform(images: Iterator[np.ndarray]) -> None:
    random, batch = np.random.default_rng(1), []
    for image in images:
        top, left = random.integers(SIZE - CROP + 1, size=2)
        part = image[:, top : top + CROP, left : left + CROP]
        part = part[:, :, ::-1] if random.random() < 0.5 else part
        batch.append((part.astype(np.float32) - np.float32(MEAN)) * np.float32(SCALE))
        if len(batch) == BATCH:
            np.stack(batch)
            batch.clear()


def read_rows(folder: Path) -> None:
    for _ in range(PASSES):
        with h5py.File(folder / "rows.h5") as file:
            values = file["data"][...]
        for start in range(0, len(values), BATCH):
            values[start : start + BATCH].copy()


def plain_loops(folder: Path) -> dict[str, Callable[[], None]]:
    return {
        "LMDB of pixels": lambda: transform(raw_images(folder)),
        "LMDB of JPEGs": lambda: transform(jpeg_images(folder)),
        "ImageData": lambda: transform(listed_images(folder)),
        "HDF5Data": lambda: read_rows(folder),
    }


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=600, help=f"images of the data set, a multiple of {BATCH}")
    parser.add_argument("--workers", type=int, default=1, help="threads that decode and transform")
    arguments = parser.parse_args()
    os.environ[WORKERS] = str(arguments.workers)
    count = arguments.images // BATCH * BATCH
    print(f"{count} images of {SIZE} x {SIZE}, batches of {BATCH}; threads: {arguments.workers}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, count)
        loops = plain_loops(folder)
        for kind, text in layers(folder).items():
            times = [(seconds(partial(read_source, text, count)), seconds(loops[kind])) for _ in range(ROUNDS)]
            ours, plain = (PASSES * count / statistics.median(column) for column in zip(*times, strict=True))
            ratio = statistics.median(plain_time / our_time for our_time, plain_time in times)
            print(f"{kind:<16} {ours:9.0f} images/s   plain loop {plain:9.0f}   ratio {ratio:5.2f}")


if __name__ == "__main__":
    main()
