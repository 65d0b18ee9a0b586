"""Which name every value of the graph gets: the blob's, so that the graph reads like the prototxt.

A blob that is written in place has versions: the last one bears the blob's name, an earlier one ``blob:layer``. A
graph input keeps its name, so what is written over it in place is a ``blob:layer`` too, even in the end. A top that
is just a bottom (Split, Dropout in TEST) has no value of its own; as an output of the graph it gets an Identity.
"""

from __future__ import annotations

from dataclasses import dataclass

from caffe_compat.errors import ExportError
from caffe_compat.export.dims import NamedDims
from caffe_compat.export.graph import GraphBuilder


@dataclass(frozen=True)
class Version:
    """What a layer wrote: the blob, the value that holds it, its sizes."""

    blob: str
    layer: str
    value: str
    dims: NamedDims


@dataclass(frozen=True)
class Names:
    """``values``: final name of a value -> its sizes. ``outputs``: blob -> final name of the value that holds it."""

    values: dict[str, NamedDims]
    outputs: dict[str, str]


def name_values(g: GraphBuilder, inputs: list[str], versions: list[Version], outputs: list[str]) -> Names:
    """Rename the values that the layers made, and add the Identity nodes that outputs need."""
    made = {output for node in g.nodes for output in node.output}
    last = {version.blob: version for version in versions}
    final: dict[str, Version] = {}
    names = {name: name for name in inputs}
    for value, bearers in _bearers(versions).items():
        if value in made:
            name, final[value] = _choose(g, bearers, last, set(names.values()))
            names[value] = name
            g.rename(value, name)
    dims = {names[value]: version.dims for value, version in final.items()}
    found: dict[str, str] = {}
    for blob in outputs:
        version = last[blob]
        own = version.value in final and final[version.value].blob == blob
        found[blob] = names[version.value] if own else _identity(g, version, set(names.values()))
        dims[found[blob]] = version.dims
    return Names(dims, found)


def _bearers(versions: list[Version]) -> dict[str, list[Version]]:
    """Value -> the versions that it holds."""
    bearers: dict[str, list[Version]] = {}
    for version in versions:
        bearers.setdefault(version.value, []).append(version)
    return bearers


def _choose(g: GraphBuilder, bearers: list[Version], last: dict[str, Version], taken: set[str]) -> tuple[str, Version]:
    """The name of a value, and the version that it names."""
    for version in bearers:
        if last[version.blob].value == version.value and version.blob not in taken:
            return version.blob, version
    return g.unique(f"{bearers[0].blob}:{bearers[0].layer}"), bearers[0]


def _identity(g: GraphBuilder, version: Version, taken: set[str]) -> str:
    """An output of its own for a blob that shares its value with another one, or with an input."""
    if not version.layer:
        raise ExportError(f"output '{version.blob}' is an input of the graph; choose blobs that a layer computes")
    g.layer_name = version.layer
    value = g.op("Identity", version.value)
    name = version.blob if version.blob not in taken else g.unique(f"{version.blob}:{version.layer}")
    g.rename(value, name)
    return name
