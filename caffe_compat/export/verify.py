"""Does the ONNX file compute what the net computes? Both run on the same random inputs, and are compared."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx

from caffe_compat.errors import ExportError, NetError
from caffe_compat.export.departure import first_departure
from caffe_compat.export.difference import relative_difference
from caffe_compat.export.preprocessing import Preprocessing, from_metadata
from caffe_compat.export.probes import input_shapes, random_inputs
from caffe_compat.export.reference import run_net
from caffe_compat.export.rounding import rounding_errors
from caffe_compat.export.runtime import open_session
from caffe_compat.export.scores import with_scores
from caffe_compat.net import Net

TOLERANCE = 1e-4
"""Largest difference allowed, as a part of the output's largest absolute value."""
ROUNDING = 4
"""Where outputs differ by more, they may still be apart by this many times the error that float32 makes in torch."""
_PIXELS = 2_000_000
"""The largest input that is tried: larger batches of the prototxt are cut down to it."""


@dataclass(frozen=True)
class Comparison:
    """One output of one pass. ``relative``: the largest difference, as a part of the largest absolute value.

    ``same_class``: in how many of ``rows`` images the largest value stands at the same place. ``rounding``: how far
    torch's value is from float64's, where that was looked at (values near zero that large ones left behind).
    ``scores``: the difference of the scores behind a probability, where it is float32's own error: of scores in the
    thousands, the last digits change the probabilities by more than the tolerance.
    """

    output: str
    batch: int | None
    difference: float
    relative: float
    same_class: int
    rows: int
    rounding: float = 0.0
    scores: float = 0.0

    @property
    def within_rounding(self) -> bool:
        """Whether the difference is of the size of float32's own error, or what such a one of its scores makes."""
        return self.difference <= max(ROUNDING * self.rounding, 2 * self.scores) < float("inf")

    def __str__(self) -> str:
        limits = f"; float32 in torch is off by {self.rounding:.3g} from float64" if self.rounding else ""
        limits += f"; the scores behind it agree to {self.scores:.3g}" if self.scores else ""
        classes = f", largest value at the same place in {self.same_class} of {self.rows}" if self.rows else ""
        off = f"off by {self.difference:.3g} ({self.relative:.3g} relative)"
        return f"{self.output}, batch {self.batch}: {off}{limits}{classes}"


@dataclass
class VerifyReport:
    """What the comparison found. ``departure``: the first blob that differs, with its layer; "" where all is well."""

    tolerance: float
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    departure: str = ""

    @property
    def ok(self) -> bool:
        return bool(self.comparisons) and self.worst <= self.tolerance

    @property
    def worst(self) -> float:
        """The largest relative difference, but for those above the tolerance that are float32's own rounding."""
        counted = (c.relative for c in self.comparisons if c.relative <= self.tolerance or not c.within_rounding)
        return max(counted, default=0.0)

    def check(self) -> None:
        """Raise ExportError, with the whole report, unless all is well."""
        if not self.ok:
            raise ExportError(str(self))

    def __str__(self) -> str:
        verdict = "onnxruntime computes what the net computes" if self.ok else "onnxruntime computes something else"
        lines = [f"{verdict}: largest relative difference {self.worst:.3g}, allowed {self.tolerance:g}"]
        lines += [f"  {comparison}" for comparison in self.comparisons]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines + ([self.departure] if self.departure else []))


def verify(
    net: Net,
    model: str | os.PathLike[str] | onnx.ModelProto,
    *,
    tolerance: float = TOLERANCE,
    batches: Sequence[int] | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> VerifyReport:
    """Run ``net`` in torch and ``model`` (a file, or the model) in onnxruntime on the CPU and compare all outputs,
    and the scores behind probabilities.

    ``batches``: batch sizes to try; by default 1, the prototxt's and another one, or the one that the file is fixed
    to. ``seed``: of the random inputs; they are pictures minus the mean, scaled, where the file's metadata say so,
    else normal numbers of standard deviation 1 and 32 in turn. Where an output differs, the report names the first
    blob that departs, its layer and the place in the prototxt; differences of the size of float32's own error, found
    by a pass in float64, are none. Raises ExportError for an unreadable file, or for one whose inputs or outputs are
    not the net's.
    """
    content = model.SerializeToString() if isinstance(model, onnx.ModelProto) else model
    name = "the model" if isinstance(content, bytes) else os.fspath(content)
    session = open_session(content, "cpu", threads)
    facts = _facts(session, name)
    outputs = _matched(net, session, name)
    extended = with_scores(content, {top for node in net.nodes for top in node.tops})
    behind = {} if extended is None else extended[1]
    if extended is not None:
        session = open_session(extended[0], "cpu", threads)
        outputs.update((score, score) for score in behind.values())
    report = VerifyReport(tolerance)
    varies = False
    for number, batch in enumerate(batches or _batches(net, session)):
        random = np.random.default_rng([seed, number])
        probe = random_inputs(net, input_shapes(session, batch), facts, random, 32.0 if number % 2 else 1.0)
        try:
            expected = run_net(net, probe.net, list(outputs.values()))
        except NetError as error:
            report.notes.append(f"batch size {batch} is not compared, the net does not take it: {error}")
            continue
        found = dict(zip(outputs, session.run(list(outputs), probe.graph), strict=True))
        new = [_compare(n, batch, found[n], expected[blob]) for n, blob in outputs.items()]
        if any(c.relative > tolerance for c in new):
            errors = rounding_errors(net, probe.net, expected)
            new = [replace(c, rounding=errors.get(outputs[c.output], 0.0)) for c in new]
            agreed = {c.output: c.difference for c in new if c.within_rounding}
            new = [replace(c, scores=agreed.get(behind.get(c.output, ""), 0.0)) for c in new]
        report.comparisons += new
        varies = varies or any(np.ptp(array) > 0 for array in expected.values() if array.size)
        if not report.departure and any(c.relative > tolerance and not c.within_rounding for c in new):
            report.departure = first_departure(net, content, probe, tolerance, threads)
    if not varies:
        report.notes.append("every output has one value throughout, as with untrained weights: this proves little")
    if not report.comparisons:
        raise ExportError(f"{name} cannot be compared:\n" + "\n".join(report.notes))
    return report


def _compare(name: str, batch: int | None, found: np.ndarray, expected: np.ndarray) -> Comparison:
    difference, relative = relative_difference(found, expected)
    rows = same = 0
    if found.shape == expected.shape and found.ndim >= 2 and found.size:
        rows = found.shape[0]
        places = [array.reshape(rows, -1).argmax(axis=1) for array in (found, expected)]
        same = int((places[0] == places[1]).sum())
    return Comparison(name, batch, difference, relative, same, rows)


def _facts(session: Any, name: str) -> Preprocessing | None:
    """The preprocessing in the metadata; None for a model without."""
    metadata = session.get_modelmeta().custom_metadata_map
    return from_metadata(metadata, name) if metadata else None


def _matched(net: Net, session: Any, name: str) -> dict[str, str]:
    """Graph output -> the net's blob."""
    blobs = {top for node in net.nodes for top in node.tops}
    missing = [i.name for i in session.get_inputs() if i.name not in blobs]
    outputs = {}
    for output in session.get_outputs():
        blob = output.name if output.name in blobs else output.name.rpartition(":")[0]
        outputs[output.name] = blob
        missing += [] if blob in blobs else [output.name]
    if missing:
        raise ExportError(
            f"{name} is not this net: it has {', '.join(missing)}, the net has {', '.join(sorted(blobs))}"
        )
    return outputs


def _batches(net: Net, session: Any) -> list[int]:
    shapes = [i.shape for i in session.get_inputs() if i.shape]
    if not shapes or isinstance(shapes[0][0], int):
        return [shapes[0][0] if shapes else 1]
    first = net.shapes[session.get_inputs()[0].name]
    most = max(1, _PIXELS // max(1, int(np.prod(first[1:]))))
    of_file = min(first[0], most)
    return list(dict.fromkeys([1, of_file, 3 if of_file == 2 else 2]))
