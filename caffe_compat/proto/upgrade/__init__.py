"""Rewrites old nets and solvers in the current form, as Caffe does on reading: a list of named passes, one a file.

Each pass takes a Document, changes its message and its places, and leaves alone what is current already.
"""

from __future__ import annotations

from typing import Any

from caffe_compat.proto.document import Document
from caffe_compat.proto.upgrade.batch_norm import freeze_batch_norm
from caffe_compat.proto.upgrade.inputs import inputs_to_layer
from caffe_compat.proto.upgrade.padding import fold_padding
from caffe_compat.proto.upgrade.solver import solver_type_to_name
from caffe_compat.proto.upgrade.transform import move_transform_fields, tell_ignored_transform_fields
from caffe_compat.proto.upgrade.v0 import v0_to_v1
from caffe_compat.proto.upgrade.v1 import v1_to_current

NET_PASSES = (
    fold_padding,
    v0_to_v1,
    tell_ignored_transform_fields,
    move_transform_fields,
    v1_to_current,
    inputs_to_layer,
    freeze_batch_norm,
)


def upgrade_net(net: Any) -> Any:
    """Upgrade a NetParameter to the current form.

    A Document is changed and returned, with a note for each upgrade. For a bare message (of a .caffemodel, say) use
    the message returned: the one given may be left half upgraded. PrototxtError where Caffe refuses the net.
    """
    document = net if isinstance(net, Document) else Document(net, "the net")
    for upgrade in NET_PASSES:
        upgrade(document)
    return document if isinstance(net, Document) else document.message


def upgrade_solver(solver: Any) -> Any:
    """Upgrade a SolverParameter, and the nets that it holds, to the current form; see ``upgrade_net``."""
    document = solver if isinstance(solver, Document) else Document(solver, "the solver")
    solver_type_to_name(document)
    for name in ("net_param", "train_net_param"):
        if document.message.HasField(name):
            _upgrade_inner(document, getattr(document.message, name), name)
    for index, net in enumerate(document.message.test_net_param):
        _upgrade_inner(document, net, "test_net_param", index)
    return document if isinstance(solver, Document) else document.message


def _upgrade_inner(document: Document, net: Any, *path: str | int) -> None:
    inner = upgrade_net(document.sub(*path))
    if inner.message is not net:
        net.CopyFrom(inner.message)
    document.notes += inner.notes
