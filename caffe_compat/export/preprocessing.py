"""What an exported file knows about its input: the facts that a classifier needs to feed it pictures.

They stand in the model's metadata, each key led by "caffe_compat.". Needs no torch.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from caffe_compat.errors import ExportError

FORMAT = "1"
PREFIX = "caffe_compat."
CHANNEL_ORDERS = ("BGR", "RGB", "GRAY")
PROBABILITIES = "probabilities"
"""Kind of an output that a Softmax makes."""
INDEPENDENT = "independent probabilities"
"""Kind of an output that a Sigmoid makes."""
SCORES = "scores"
"""Kind of any other output."""


@dataclass(frozen=True)
class Preprocessing:
    """y = (x - mean) * scale, for images x (C, height, width) with pixels from 0 to 255.

    ``input_name``: the graph's input. ``mean_values``: none, one, or one per channel. ``mean_image``: instead, a mean
    (C, height, width) of the input's size. ``channel_order``: "BGR" (as OpenCV, so Caffe's), "RGB", "GRAY", or "" for
    an input that is no image. ``resize``: (height, width) that an image gets before the centred crop to the input's
    size; None: the input's size. ``in_graph``: the graph itself subtracts the mean and scales.
    ``labels``: names of the classes. ``outputs``: output name -> its kind. ``source``, ``net``: the prototxt's file
    name, and the name in it.
    """

    input_name: str = "data"
    mean_values: tuple[float, ...] = ()
    mean_image: np.ndarray | None = field(default=None, compare=False)
    scale: float = 1.0
    channel_order: str = ""
    resize: tuple[int, int] | None = None
    in_graph: bool = False
    labels: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    net: str = ""

    def __post_init__(self) -> None:
        if self.channel_order not in (*CHANNEL_ORDERS, ""):
            raise ExportError(f"channel_order is {self.channel_order!r}; accepted: {', '.join(CHANNEL_ORDERS)}")
        numbers = np.array([self.scale, *self.mean_values])
        if not np.isfinite(numbers).all():
            raise ExportError(
                f"scale is {self.scale:g} and mean_values {list(self.mean_values)}; accepted: finite numbers"
            )
        if self.mean_values and self.mean_image is not None:
            raise ExportError("a mean image and mean values are given; accepted: one of the two")

    def mean(self) -> np.ndarray:
        """The mean as an array that broadcasts over (C, height, width)."""
        if self.mean_image is not None:
            return self.mean_image
        return np.array(self.mean_values or [0.0], np.float32).reshape(-1, 1, 1)

    def apply(self, images: np.ndarray) -> np.ndarray:
        """(images - mean) * scale as float32, for images (N, C, height, width)."""
        if self.mean_image is not None or self.mean_values:
            images = np.subtract(images, self.mean(), dtype=np.float32)
        if self.scale != 1:
            images = np.multiply(images, np.float32(self.scale), dtype=np.float32)
        return np.ascontiguousarray(images, np.float32)

    def fitted(self, shape: tuple[int, ...]) -> Preprocessing:
        """The same with a mean image cropped, centred, to an input of ``shape``; checks that the mean fits."""
        if len(shape) != 4:
            if self.mean_image is not None:
                raise ExportError(f"a mean image is given for an input of {len(shape)} axes; accepted: 4 axes")
            return self
        channels, height, width = shape[1:]
        wanted = 1 if self.channel_order == "GRAY" else 3
        if self.channel_order and channels != wanted:
            raise ExportError(
                f"channel_order is {self.channel_order}, which has {wanted} channel(s), but the input has {channels}"
            )
        if self.resize is not None and (self.resize[0] < height or self.resize[1] < width):
            raise ExportError(
                f"resize is {self.resize[0]} x {self.resize[1]}, less than the crop to the input, {height} x {width} "
                "(height x width); accepted: this size or more"
            )
        if len(self.mean_values) not in (0, 1, channels):
            raise ExportError(
                f"{len(self.mean_values)} mean values are given for {channels} channels; give 1"
                + (f" or {channels}" if channels > 1 else "")
            )
        if self.mean_image is None or self.mean_image.shape == (channels, height, width):
            return self
        return replace(self, mean_image=_centre(self.mean_image, shape[1:]))


def to_metadata(facts: Preprocessing, opset: int) -> dict[str, str]:
    """The facts as keys and values of ``metadata_props``."""
    values = {
        "format": FORMAT,
        "input": facts.input_name,
        "mean_values": json.dumps(list(facts.mean_values)),
        "scale": repr(facts.scale),
        "channel_order": facts.channel_order,
        "resize": json.dumps(facts.resize),
        "preprocess_in_graph": json.dumps(facts.in_graph),
        "labels": json.dumps(list(facts.labels)),
        "outputs": json.dumps(dict(facts.outputs)),
        "source": facts.source,
        "net": facts.net,
        "opset": str(opset),
    }
    if facts.mean_image is not None:
        array = np.ascontiguousarray(facts.mean_image, "<f4")
        values["mean_shape"] = json.dumps(array.shape)
        values["mean_image"] = base64.b64encode(array.tobytes()).decode("ascii")
    return {PREFIX + key: value for key, value in values.items()}


def from_metadata(metadata: Mapping[str, str], name: str) -> Preprocessing:
    """The facts in a model's metadata; ``name`` is the file's, for errors. Raises ExportError."""
    values = {key.removeprefix(PREFIX): value for key, value in metadata.items() if key.startswith(PREFIX)}
    if "format" not in values:
        raise ExportError(
            f"{name} was not exported by caffe_compat: it does not say which mean, scale and channel order its input "
            "wants; export the net with 'caffe-compat export'"
        )
    if values["format"] != FORMAT:
        raise ExportError(
            f"{name} has metadata of format {values['format']}, this version reads {FORMAT}; export the net again, or "
            "install a newer caffe_compat"
        )
    try:
        return _parsed(values)
    except (KeyError, ValueError, TypeError, binascii.Error) as error:
        raise ExportError(f"{name} has damaged metadata ({error!r}); export the net again") from error


def _parsed(values: Mapping[str, str]) -> Preprocessing:
    image = None
    if "mean_image" in values:
        flat = np.frombuffer(base64.b64decode(values["mean_image"], validate=True), "<f4")
        image = flat.reshape(json.loads(values["mean_shape"])).astype(np.float32)
    resize: Any = json.loads(values["resize"])
    return Preprocessing(
        input_name=values["input"],
        mean_values=tuple(float(value) for value in json.loads(values["mean_values"])),
        mean_image=image,
        scale=float(values["scale"]),
        channel_order=values["channel_order"],
        resize=None if resize is None else (int(resize[0]), int(resize[1])),
        in_graph=bool(json.loads(values["preprocess_in_graph"])),
        labels=tuple(json.loads(values["labels"])),
        outputs=dict(json.loads(values["outputs"])),
        source=values["source"],
        net=values["net"],
    )


def _centre(mean: np.ndarray, shape: tuple[Any, ...]) -> np.ndarray:
    """The middle of a mean image, at floor((size - crop) / 2) as in Caffe's transformer."""
    channels, height, width = shape
    fits = mean.ndim == 3 and mean.shape[0] == channels and mean.shape[1] >= height and mean.shape[2] >= width
    if not fits:
        raise ExportError(
            f"the mean image has the shape {tuple(mean.shape)}, the input {tuple(shape)} (channels, height, width); "
            "accepted: the same channels, and a size no smaller than the input's"
        )
    top, left = (mean.shape[1] - height) // 2, (mean.shape[2] - width) // 2
    return np.ascontiguousarray(mean[:, top : top + height, left : left + width])
