"""A test net runs on the train net's blobs (as Caffe's Net::ShareTrainedLayersWith)."""

from __future__ import annotations

from typing import Any

from caffe_compat.errors import SolverError
from caffe_compat.net import Net, Node
from caffe_compat.net.sharing import bind_shared


def share_trained_layers(train: Net, test: Net) -> None:
    """Give each layer of ``test`` the blobs of the layer of that name in ``train``; no value is copied.

    Raises SolverError where the number or the shapes of a layer's blobs differ.
    """
    nodes: dict[str, Node] = {}
    for node in test.nodes:
        nodes.setdefault(node.name, node)
    for source in train.nodes:
        target = nodes.get(source.name)
        if target is not None:
            _share(source, target)
    bind_shared(test._shared)


def _share(source: Node, target: Node) -> None:
    theirs, mine = source.layer.blobs, target.layer.blobs
    if [blob.shape for blob in theirs] != [blob.shape for blob in mine]:
        raise SolverError(
            f"layer '{source.name}' has blobs of shapes {_shapes(source)} in the train net ({source.where}) and "
            f"{_shapes(target)} in the test net ({target.where}); layers of one name share their blobs: "
            "make the shapes equal, or give the layers different names"
        )
    for name, blob in zip(target.layer.blob_names, theirs, strict=True):
        holders: tuple[dict[str, Any], ...] = (target.layer._parameters, target.layer._buffers)
        for holder in holders:
            if name in holder:
                holder[name] = blob


def _shapes(node: Node) -> str:
    return ", ".join(str(list(blob.shape)) for blob in node.layer.blobs) or "none"
