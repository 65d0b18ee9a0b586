"""Classify pictures with an exported file; needs onnxruntime, numpy and Pillow, no torch and no prototxt."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from caffe_compat.errors import ExportError
from caffe_compat.export.pictures import read_picture
from caffe_compat.export.preprocessing import INDEPENDENT, PROBABILITIES, Preprocessing, from_metadata
from caffe_compat.export.runtime import open_session
from caffe_compat.pictures import centre_crop, resize

BATCH = 32
"""Pictures that go through the net together where the batch size is free."""


class Guess(NamedTuple):
    """A class: its label ("class 7" where the file has none), its probability, its number from 0."""

    label: str
    probability: float
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here


class Classifier:
    """An exported net with its preprocessing.

    >>> Classifier("caffenet.onnx").classify(["cat.jpg"], top_k=1)
    [[Guess(label='tabby', probability=0.93, index=281)]]

    ``device``: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1". ``threads``: of the CPU. Raises ExportError
    for a file that is damaged, was not exported by caffe_compat, or is no classifier of pictures.
    """

    def __init__(self, onnx_path: str | os.PathLike[str], device: str = "auto", threads: int | None = None) -> None:
        name = os.fspath(onnx_path)
        self.session = open_session(onnx_path, device, threads)
        self.facts: Preprocessing = from_metadata(self.session.get_modelmeta().custom_metadata_map, name)
        self.input_shape = _image_input(self.session, self.facts, name)
        self.output_name = _probabilities(self.session, self.facts, name)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; empty where the file has none."""
        return self.facts.labels

    def classify(self, images: Any, top_k: int = 5) -> list[list[Guess]]:
        """For each image the ``top_k`` likeliest classes, the likeliest first (fewer where the net has fewer).

        ``images``: a list of paths, PIL images or uint8 arrays (height, width, channels in the order red, green,
        blue); a single one is a list of one. An output without a Softmax gives its scores in place of
        probabilities. Raises DataError for a picture that cannot be read.
        """
        if top_k < 1:
            raise ExportError(f"top_k is {top_k}; accepted: 1 or more")
        found: list[list[Guess]] = []
        for batch in self._batches(_as_list(images)):
            scores = self.predict(np.stack([self.preprocess(image) for image in batch]))
            found.extend(self._best(row, top_k) for row in scores.reshape(len(batch), -1))
        return found

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """The output for a preprocessed batch (N, C, height, width); one row per image. Raises ExportError."""
        batch = np.ascontiguousarray(batch, np.float32)
        if batch.ndim != 4 or batch.shape[1:] != self.input_shape[1:]:
            raise ExportError(f"a batch of shape {batch.shape} does not fit the input (N, {self._sizes()})")
        fixed, count = self.input_shape[0], len(batch)
        if fixed is not None and count != fixed:
            if count > fixed:
                raise ExportError(f"{count} images do not fit the batch size {fixed} that the file is fixed to")
            batch = np.concatenate([batch, np.zeros((fixed - count, *batch.shape[1:]), np.float32)])
        result: np.ndarray = self.session.run([self.output_name], {self.facts.input_name: batch})[0]
        return result[:count]

    def preprocess(self, image: Any) -> np.ndarray:
        """A picture as the net wants it: float32 (C, height, width), resized, cropped, minus the mean, scaled."""
        _, _, height, width = self.input_shape
        pixels = resize(read_picture(image, self.facts.channel_order), *(self.facts.resize or (height, width)))
        planes = centre_crop(pixels, height, width).transpose(2, 0, 1)
        return np.ascontiguousarray(planes, np.float32) if self.facts.in_graph else self.facts.apply(planes[None])[0]

    def _batches(self, images: Sequence[Any]) -> Iterable[Sequence[Any]]:
        size = self.input_shape[0] or BATCH
        return (images[start : start + size] for start in range(0, len(images), size))

    def _best(self, scores: np.ndarray, top_k: int) -> list[Guess]:
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [Guess(self._label(int(i)), float(scores[i]), int(i)) for i in order]

    def _label(self, index: int) -> str:
        return self.labels[index] if index < len(self.labels) else f"class {index}"

    def _sizes(self) -> str:
        return ", ".join(map(str, self.input_shape[1:]))


def _as_list(images: Any) -> Sequence[Any]:
    return images if isinstance(images, (list, tuple)) else [images]


def _image_input(session: Any, facts: Preprocessing, name: str) -> tuple[Any, ...]:
    """The shape of the one input, with None for a free batch size."""
    inputs = session.get_inputs()
    shape = tuple(size if isinstance(size, int) else None for size in inputs[0].shape)
    channels = {"GRAY": 1}.get(facts.channel_order, 3)
    if len(inputs) == 1 and len(shape) == 4 and facts.channel_order and shape[1] == channels and None not in shape[1:]:
        return shape
    found = ", ".join(f"{value.name} {value.shape}" for value in inputs)
    raise ExportError(
        f"{name} is no classifier of pictures: its input is {found} (channel order {facts.channel_order or 'none'}); "
        "accepted: one input (N, 1 or 3, height, width)"
    )


def _probabilities(session: Any, facts: Preprocessing, name: str) -> str:
    """The output to look at: the first with probabilities, else the first."""
    names = [output.name for output in session.get_outputs()]
    likely = [n for kind in (PROBABILITIES, INDEPENDENT) for n in names if facts.outputs.get(n) == kind]
    return str((likely or names)[0])
