"""The demo's story: what it does, in words, while it does it."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.files import make_folder
from caffe_compat.tools.demo.pictures import Curve, Prediction, check_matplotlib, draw_curves, draw_digits

HERE = Path(__file__).parent
STAGES = (("stage1", "softmax"), ("stage2", "SM-Softmax"))


def run_demo(out: Path, mnist: Path | None = None) -> None:
    """Train both stages on digits, export, verify, classify and draw; everything is written below ``out``.

    ``mnist``: the folder with the full MNIST; default: the 2,000 + 500 digits of the package. Raises
    CaffeCompatError; what is in ``out`` from an earlier run is replaced.
    """
    check_matplotlib()
    make_folder(out)
    start = time.monotonic()
    with _working_in(out):
        count = _prepare(mnist)
        curves = [_train(0, Curve(STAGES[0][1]), None, count)]
        curves.append(_train(1, Curve(STAGES[1][1]), "stage1_iter_400.caffemodel", count))
        _export("stage2_iter_240.caffemodel")
        predictions = _classify()
        draw_curves(curves, Path("curves.png"))
        draw_digits(predictions, Path("digits.png"))
    _conclude(out, curves, time.monotonic() - start)


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _say(text: str) -> None:
    print(textwrap.fill(text, 100, subsequent_indent="   ", break_long_words=False, break_on_hyphens=False), flush=True)


def _prepare(mnist: Path | None) -> int:
    """The data bases and prototxts; returns the number of test digits."""
    from caffe_compat.data.convert import convert_mnist
    from caffe_compat.data.tiny import tiny

    converted = convert_mnist(mnist or tiny("mnist"), "mnist", overwrite=True)
    _say(f"1. Handwritten digits: {converted.train_records:,} to learn from and {converted.test_records:,} to be "
         "tested on, written as LMDB, the data base that Caffe's Data layers read.")  # fmt: skip
    for name in ("net", "stage1_solver", "stage2_solver"):
        text = (HERE / f"{name}.prototxt").read_text()
        text = text.replace("test_iter: 5", f"test_iter: {converted.test_records // 100}")
        Path(f"{name}.prototxt").write_text(text)
    return converted.test_records


def _train(stage: int, curve: Curve, weights: str | None, count: int) -> Curve:
    from caffe_compat.solver import Solver

    solver_file = f"{STAGES[stage][0]}_solver.prototxt"
    solver = Solver(solver_file, weights, log=_Recorder(curve))
    if stage == 0:
        parameters = sum(param.tensor.numel() for param in solver.net.learnable)
        _say(f"2. Stage 1: a net of {len(solver.net.nodes)} layers and {parameters:,} parameters (net.prototxt) "
             f"learns from random weights with the softmax loss, {solver.param.max_iter} iterations.")  # fmt: skip
    else:
        margin = solver.net.layer("loss").margin
        _say("3. Stage 2: the same net is fine-tuned at a small rate with the soft-margin softmax loss: the score of "
             f"the right digit must win by a margin of {margin:g}.")  # fmt: skip
    solver.solve()
    right = curve.accuracy[-1][1]
    _say(f"   After stage {stage + 1}: {right:.1%} of the test digits are right ({round((1 - right) * count)} errors).")
    return curve


class _Recorder:
    """Keeps what the solver tells, and prints a short line for every test."""

    def __init__(self, curve: Curve) -> None:
        self.curve = curve
        self.iteration = 0

    def __call__(self, event: Any) -> None:
        values = event.values
        if event.kind == "train_loss":
            self.curve.loss.append((values[0], values[1]))
        elif event.kind == "testing":
            self.iteration = values[0]
        elif event.kind == "test_output" and values[1] == "accuracy":
            self.curve.accuracy.append((self.iteration, values[2]))
        elif event.kind == "test_output":
            self.curve.test_loss.append((self.iteration, values[2]))
            accuracy = self.curve.accuracy[-1][1]
            print(f"   iteration {self.iteration:>4}: test loss {values[2]:.4f}, accuracy {accuracy:.1%}", flush=True)
        elif event.level == "W":
            _say(f"   warning: {event.text}")


def _export(weights: str) -> None:
    from caffe_compat.export.evaluate import evaluate
    from caffe_compat.export.onnx_file import export_onnx

    report = export_onnx("net.prototxt", "digits.onnx", weights, labels=[str(digit) for digit in range(10)])
    assert report.verified is not None
    _say(f"4. Export: digits.onnx, {report.bytes / 1e6:.1f} MB, {report.nodes} operators; onnxruntime and torch agree "
         f"to {report.verified.worst:.0e} on random inputs.")  # fmt: skip
    _say(f"   onnxruntime over the test digits: {evaluate('digits.onnx', 'net.prototxt')}.")


def _classify() -> list[Prediction]:
    """Classify single pictures, as a user of the exported file would: the first digits, and the doubtful ones."""
    from PIL import Image

    from caffe_compat.data.lmdb_read import Database
    from caffe_compat.export.classifier import Classifier
    from caffe_compat.proto import pb

    classifier = Classifier("digits.onnx")
    records = Database(Path("mnist_test_lmdb")).records(0, 500)
    datums = [pb.Datum.FromString(bytes(value)) for _, value in records]
    images = [np.frombuffer(datum.data, np.uint8).reshape(datum.height, datum.width) for datum in datums]
    best = [guesses[0] for guesses in classifier.classify([Image.fromarray(image) for image in images], top_k=1)]
    found = [Prediction(image, datum.label, int(guess.label), guess.probability)
             for image, datum, guess in zip(images, datums, best, strict=True)]  # fmt: skip
    Image.fromarray(images[0]).save("digit.png")
    guess = classifier.classify(["digit.png"], top_k=1)[0][0]
    _say(f"5. Classify: digit.png, a single picture, is a {guess.label} ({guess.probability:.1%}); its label is "
         f"{found[0].label}.")  # fmt: skip
    doubtful = sorted(found, key=lambda p: (p.predicted == p.label, p.probability))[:16]
    return [*found[:16], *doubtful]


def _conclude(out: Path, curves: list[Curve], seconds: float) -> None:
    _say(f"6. Pictures: {out / 'curves.png'} shows loss and accuracy of both stages; {out / 'digits.png'} the first 16 "
         "test digits with their predictions and, below them, the 16 most doubtful ones.")  # fmt: skip
    print(f"\nDone in {seconds:.0f} s. Try it yourself:\n"
          f"  caffe-compat classify {out / 'digits.onnx'} {out / 'digit.png'}\n"
          f"  caffe-compat summary {out / 'net.prototxt'}")  # fmt: skip
