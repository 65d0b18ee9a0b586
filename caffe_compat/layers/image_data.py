"""ImageData: a list of images."""

from __future__ import annotations

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import Exactly
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.source_layer import SourceLayer, check_one_mean, check_positive


@register_layer("ImageData")
class ImageData(SourceLayer):
    """The next ``batch_size`` images of a list, decoded, resized and transformed

    Tops: data (N, C, H, W), C = 3 (blue, green, red) or 1; labels (N,), or (N, k) where every line of the list ends
    in k numbers (which Caffe does not know).

    image_data_param: ``source`` (a text file, a line "path label" for each image; the label follows the last space),
    ``batch_size`` (default 1), ``rand_skip`` (skip a random number of images below this at the start; default 0),
    ``shuffle`` (anew for every pass; default false), ``new_height`` and ``new_width`` (default 0: the image's own
    size), ``is_color`` (default true), ``root_folder`` (stands before each path). transform_param as in Data.
    data_param's ``prefetch`` (batches made ahead; default 4) counts, too. Differs from Caffe: labels need not be
    whole numbers. Refused: no source, only one of new_height and new_width.
    """

    blocks = ("image_data_param", "transform_param")
    tops = Exactly(2)

    def __init__(
        self,
        source: str | None = None,
        batch_size: int = 1,
        rand_skip: int = 0,
        shuffle: bool = False,
        new_height: int = 0,
        new_width: int = 0,
        is_color: bool = True,
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
            raise NetError('image_data_param has no source; name a text file that lists images: source: "train.txt"')
        check_positive("image_data_param", batch_size=batch_size)
        check_one_mean(mean_file, mean_value)
