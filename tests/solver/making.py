"""A small experiment with all that is random in a training: data augmentation, noise, dropout, fillers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.data.lmdb_write import write_lmdb
from caffe_compat.proto import pb
from caffe_compat.solver import Event, Solver

NET = """
name: "small"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 6 scale: 0.00390625 }
  data_param { source: "db" batch_size: 4 rand_skip: 10 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 6 scale: 0.00390625 }
  data_param { source: "db" batch_size: 5 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" include { phase: TEST } }
"""
SOLVER = {
    "net": '"net.prototxt"', "base_lr": "0.05", "lr_policy": '"step"', "gamma": "0.5", "stepsize": "4",
    "momentum": "0.9", "weight_decay": "0.01", "max_iter": "12", "display": "2", "average_loss": "3",
    "test_iter": "2", "test_interval": "4", "snapshot": "3", "snapshot_prefix": '"snap"', "random_seed": "7",
}  # fmt: skip


def make_experiment(folder: Path, prototxt: str = NET, **changes: Any) -> Path:
    """Write data base, net and solver into ``folder``; the solver's path. A change to None leaves the field out."""
    random = np.random.default_rng(3)
    if not (folder / "db").exists():
        write_lmdb(folder / "db", (datum(random, index) for index in range(23)))
    (folder / "net.prototxt").write_text(prototxt)
    fields = {**SOLVER, **changes}
    path = folder / "solver.prototxt"
    path.write_text("".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None))
    return path


def datum(random: np.random.Generator, index: int) -> Any:
    image = random.integers(0, 256, (1, 8, 8), dtype=np.uint8)
    return pb.Datum(channels=1, height=8, width=8, data=image.tobytes(), label=index % 3)


class Run:
    """A solver and the events that it told."""

    def __init__(self, solver: Path | str, **options: Any) -> None:
        self.events: list[Event] = []
        self.solver = Solver(solver, log=self.events.append, **options)

    def rows(self, *kinds: str) -> list[list[Any]]:
        """The events as rows; a line that tells of time without it."""
        return [event.row for event in self.events if not kinds or event.kind in kinds]

    def texts(self, kind: str) -> list[str]:
        return [event.text for event in self.events if event.kind == kind]


def parameters(solver: Solver) -> dict[str, bytes]:
    """All blobs and all history, to be compared bit for bit."""
    blobs = {
        f"{node.name}.{index}": blob.detach().numpy().tobytes()
        for node in solver.net.nodes
        for index, blob in enumerate(node.layer.blobs)
    }
    history = {f"history.{index}": blob.numpy().tobytes() for index, blob in enumerate(solver.updater.history)}
    return {**blobs, **history}
