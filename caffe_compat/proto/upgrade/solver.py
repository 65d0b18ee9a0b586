"""`solver_type: ADAGRAD` -> `type: "AdaGrad"`."""

from __future__ import annotations

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import pb
from caffe_compat.proto.document import Document
from caffe_compat.proto.upgrade.moves import move_places, tell

TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}


def solver_type_to_name(document: Document) -> None:
    """Replace the old enum by the name. PrototxtError where a solver has both."""
    solver = document.message
    if not solver.HasField("solver_type"):
        return
    old = pb.enum_name("SolverParameter.SolverType", solver.solver_type)
    if solver.HasField("type"):
        raise PrototxtError(
            f"{document.where('solver_type')}: the solver has both solver_type: {old} (the old form) and "
            f'type: "{solver.type}" ({document.where("type")}); keep type'
        )
    solver.type = TYPES[old]
    tell(document, document.place.at("solver_type"), f'solver_type: {old} upgraded to type: "{solver.type}"')
    solver.ClearField("solver_type")
    move_places(document.place, "solver_type", document.place, "type")
