"""A training with everything that a continuation must find again, to be run in a process of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from tests.solver.making import make_experiment

NET = """
name: "all"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 6 scale: 0.00390625 }
  data_param { source: "db" batch_size: 8 rand_skip: 10 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { mirror: true crop_size: 6 scale: 0.00390625 }
  data_param { source: "db" batch_size: 6 } }
layer { name: "extra" type: "HDF5Data" top: "extra" include { phase: TRAIN }
  hdf5_data_param { source: "extra.txt" batch_size: 8 shuffle: true } }
layer { name: "extra" type: "HDF5Data" top: "extra" include { phase: TEST }
  hdf5_data_param { source: "extra.txt" batch_size: 6 shuffle: true } }
layer { name: "cont" type: "DummyData" top: "cont" include { phase: TRAIN }
  dummy_data_param { shape { dim: 4 dim: 2 } data_filler { value: 1 } } }
layer { name: "cont" type: "DummyData" top: "cont" include { phase: TEST }
  dummy_data_param { shape { dim: 3 dim: 2 } data_filler { value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 300 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "steps" type: "Reshape" bottom: "data" top: "steps"
  reshape_param { shape { dim: -1 dim: 2 dim: 36 } } }
layer { name: "lstm" type: "LSTM" bottom: "steps" bottom: "cont" top: "lstm"
  recurrent_param { num_output: 4 weight_filler { type: "uniform" min: -0.2 max: 0.2 } } }
layer { name: "rows" type: "Reshape" bottom: "lstm" top: "rows" reshape_param { shape { dim: -1 dim: 4 } } }
layer { name: "all" type: "Concat" bottom: "fc" bottom: "rows" bottom: "extra" top: "all" }
layer { name: "score" type: "InnerProduct" bottom: "all" top: "score"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "score" bottom: "label" top: "accuracy" include { phase: TEST } }
"""
TOLD = {"train_loss", "train_output", "lr", "testing", "test_output", "loss"}


def make(folder: Path, **changes: Any) -> Path:
    """The experiment: a data base and two HDF5 files in another order each time, noise, and states of an LSTM."""
    import h5py

    random = np.random.default_rng(4)
    for name, rows in (("a.h5", 11), ("b.h5", 7)):
        with h5py.File(folder / name, "w") as file:
            file["extra"] = random.standard_normal((rows, 2), np.float32)
    (folder / "extra.txt").write_text("a.h5\nb.h5\n")
    return make_experiment(folder, NET, **{"base_lr": 0.01, **changes})


def train(folder: Path) -> None:
    """To the end, from the newest snapshot; what is told goes to ``told.jsonl``, a line at once."""
    import torch

    from caffe_compat.solver import Event, Solver
    from caffe_compat.tools.newest_snapshot import newest_snapshot

    torch.set_num_threads(1)
    os.chdir(folder)
    state, notes = newest_snapshot("snap")
    assert not any("leaves out" in note for note in notes), notes
    with open("told.jsonl", "w", encoding="utf-8") as file:

        def tell(event: Event) -> None:
            if event.kind in TOLD:
                print(json.dumps(event.row), file=file, flush=True)

        Solver("solver.prototxt", snapshot=state, log=tell).solve()
