"""Errors of layer classes that are not ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from caffe_compat.errors import CaffeCompatError, NetError
from caffe_compat.layers.base import Layer


@contextmanager
def users_code(layer: Layer) -> Iterator[None]:
    """What a class of the user's own does wrong while its net is built becomes a NetError."""
    cls = type(layer)
    try:
        yield
    except CaffeCompatError:
        raise
    except Exception as error:
        if cls.__module__.startswith("caffe_compat."):
            raise
        raise NetError(
            f"{cls.__qualname__} of {cls.__module__} failed where its forward runs on meta tensors, to find the tops' "
            f"shapes: {type(error).__name__}: {error}. Blobs are made by add_blob in setup, other tensors on the "
            "bottom's device (torch.ones(..., device=x.device))"
        ) from error
