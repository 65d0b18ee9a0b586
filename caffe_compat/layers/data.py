"""Data: records of a data base."""

from __future__ import annotations

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import Between
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.source_layer import SourceLayer, check_one_mean, check_positive


@register_layer("Data")
class Data(SourceLayer):
    """The next ``batch_size`` records of a data base (LMDB or LevelDB), transformed

    Tops: data (N, C, H, W); labels (N,) where a second top is named.

    data_param: ``source`` (the data base), ``batch_size``, ``backend`` (default LEVELDB), ``rand_skip`` (not read, as
    in Caffe 1.0), ``prefetch`` (batches made ahead; default 4), ``force_encoded_color`` (default false; as force_color,
    which Caffe 1.0 reads in its place). transform_param: ``scale`` (default 1; after the mean), ``mirror`` (default
    false), ``crop_size`` (default 0: none), ``mean_file`` or ``mean_value``, ``force_color``, ``force_gray`` (default
    false; of encoded images). Refused: no source, a batch size of 0.
    """

    blocks = ("data_param", "transform_param")
    tops = Between(1, 2)

    def __init__(
        self,
        source: str | None = None,
        batch_size: int = 0,
        rand_skip: int = 0,
        backend: str = "LEVELDB",
        force_encoded_color: bool = False,
        prefetch: int = 4,
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
            raise NetError('data_param has no source; give it the folder of a data base: source: "train_lmdb"')
        check_positive("data_param", batch_size=batch_size)
        check_one_mean(mean_file, mean_value)
