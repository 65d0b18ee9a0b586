"""The errors that a user can act on; the command line prints their text and exits with status 1."""

from __future__ import annotations


class CaffeCompatError(Exception):
    """Base of everything raised on purpose. The text says where, what was found, what is accepted, the remedy."""


class PrototxtError(CaffeCompatError):
    """A prototxt does not parse, or holds a field or value that its schema does not have."""


class IgnoredFieldWarning(UserWarning):
    """A field of a prototxt that the schema does not have was ignored; the text says where. See ``strict``."""


class NetError(CaffeCompatError):
    """A net cannot be built or run: unknown layer, wrong wiring, a shape or parameter out of range."""


class WeightsError(CaffeCompatError):
    """A weights file is damaged or does not fit the net."""


class DataError(CaffeCompatError):
    """A data source is missing, damaged, or holds records that do not fit the layer."""


class SolverError(CaffeCompatError):
    """A solver is configured wrongly, or a training run cannot go on."""


class ExportError(CaffeCompatError):
    """A net cannot be exported to ONNX, or an ONNX file is not what was expected."""


class CannotLower(ExportError):  # noqa: N818 - reads as what happened to a layer
    """Raised by a layer's ``lower``: this configuration has no ONNX form; the text says why and what to do."""
