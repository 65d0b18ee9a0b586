"""WindowData: windows of images, for detection."""

from __future__ import annotations

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import Exactly
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.source_layer import SourceLayer, check_one_mean, check_positive


@register_layer("WindowData")
class WindowData(SourceLayer):
    """``batch_size`` random windows of images, for detection (R-CNN): background first, then foreground

    Tops: data (N, C, crop_size, crop_size); labels (N,): the window's class, 0 for background.

    window_data_param: ``source`` (the window file), ``batch_size``, ``fg_threshold`` and ``bg_threshold`` (a window
    is foreground from the overlap fg_threshold on, and background below bg_threshold; default 0.5),
    ``fg_fraction`` (the part of foreground in a batch; default 0.25), ``context_pad`` (pixels of context around the
    window in the crop; default 0), ``crop_mode`` ("warp" or "square": the window grown to a square before; default
    warp), ``cache_images`` (keep the files in memory; default false), ``root_folder``. transform_param:
    ``crop_size``, ``mirror``, ``scale``, ``mean_file`` or ``mean_value``. What lies outside the image is 0 after
    the mean. Refused: no source, batch size or crop size.
    """

    blocks = ("window_data_param", "transform_param")
    tops = Exactly(2)

    def __init__(
        self,
        source: str | None = None,
        batch_size: int = 0,
        fg_threshold: float = 0.5,
        bg_threshold: float = 0.5,
        fg_fraction: float = 0.25,
        context_pad: int = 0,
        crop_mode: str = "warp",
        cache_images: bool = False,
        root_folder: str | None = None,
        scale: float = 1.0,
        mirror: bool = False,
        crop_size: int = 0,
        mean_file: str | None = None,
        mean_value: list[float] | None = None,
        force_color: bool = False,
        force_gray: bool = False,
    ) -> None:
        super().__init__()
        if not source:
            raise NetError('window_data_param has no source; name the window file: source: "windows.txt"')
        check_positive("window_data_param", batch_size=batch_size)
        check_positive("transform_param", crop_size=crop_size)
        check_one_mean(mean_file, mean_value)
        if crop_mode not in ("warp", "square"):
            raise NetError(f'window_data_param\'s crop_mode is "{crop_mode}"; accepted: "warp" or "square"')
