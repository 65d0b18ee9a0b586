"""Writes the nets and solvers of this folder: ``python prototxt/generate.py``.

The nets are Table 1 of "Soft-Margin Softmax for Deep Classification" (Liang et al. 2017), trained as section 4.3
says; what the paper leaves open follows the released code of L-Softmax (Liu et al. 2016), whose protocol the paper
names: batch normalisation after every convolution and after the fully connected layer, msra filling, the steps of
the learning rate. README.md in this folder lists every such choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Experiment:
    """One data set of the paper. ``units``: (filters, convolutions) of conv1 to conv3; conv0 is one convolution."""

    folder: str
    title: str
    conv0: int
    units: tuple[tuple[int, int], ...]
    fc: int
    classes: int
    data: str
    transform: str
    train_transform: str
    steps: tuple[int, ...]
    max_iter: int
    margin: float
    batch_norm: bool = True


MNIST = Experiment(
    "mnist", "MNIST net of Table 1", 64, ((64, 3), (64, 3), (64, 3)), 256, 10, "data/mnist",
    "scale: 0.00392157", "scale: 0.00392157", (5000, 7500, 10000), 12000, 0.3,
)  # fmt: skip
CIFAR10 = Experiment(
    "cifar10", "CIFAR10 net of Table 1", 64, ((64, 4), (96, 4), (64, 4)), 256, 10, "data/cifar10",
    'mean_file: "data/cifar10_mean.binaryproto"', 'mean_file: "data/cifar10_mean.binaryproto"',
    (5000, 7500), 10000, 0.3,
)  # fmt: skip
CIFAR10_PLUS = replace(
    CIFAR10, folder="cifar10plus", title="CIFAR10+ net of Table 1: padded by 4, random 32x32 crop, mirror",
    data="data/cifar10plus", transform='mean_file: "data/cifar10plus_mean.binaryproto" crop_size: 32',
    train_transform='mean_file: "data/cifar10plus_mean.binaryproto" crop_size: 32 mirror: true',
    steps=(8000, 12000), max_iter=15000,
)  # fmt: skip
CIFAR100 = replace(
    CIFAR10, folder="cifar100", title="CIFAR100 net of Table 1", conv0=96, units=((96, 4), (192, 4), (384, 4)),
    fc=512, classes=100, data="data/cifar100", transform='mean_file: "data/cifar100_mean.binaryproto"',
    train_transform='mean_file: "data/cifar100_mean.binaryproto"',
)  # fmt: skip
EXPERIMENTS = (MNIST, CIFAR10, CIFAR10_PLUS, CIFAR100)


def variants(experiment: Experiment) -> Iterator[tuple[str, Experiment]]:
    """(suffix of the file name, net) of the nets that the sources leave open."""
    yield "", experiment
    title = experiment.title
    yield "_without_batchnorm", replace(experiment, batch_norm=False, title=f"{title}, without batch normalisation")
    if experiment.folder.startswith("cifar10") and experiment.classes == 10:
        yield "_conv3_128", replace(
            experiment, units=((64, 4), (96, 4), (128, 4)), title=f"{title}, conv3 with 128 filters as in L-Softmax"
        )
    if experiment.classes == 10:
        count = experiment.units[0][1]
        yield "_wide", replace(
            experiment, units=((64, count), (128, count), (256, count)), fc=512,
            title=f"{title}, with the widths of L-Softmax's release",
        )  # fmt: skip


def layer(name: str, kind: str, bottom: str, top: str, *body: str) -> str:
    lines = [f'  name: "{name}"', f'  type: "{kind}"', f'  bottom: "{bottom}"', f'  top: "{top}"']
    return "\n".join(["layer {", *lines, *(f"  {line}" for line in body), "}"]) + "\n"


def data_layer(experiment: Experiment, phase: str) -> str:
    name, batch = ("train", 128) if phase == "TRAIN" else ("test", 100)
    transform = experiment.train_transform if phase == "TRAIN" else experiment.transform
    return f"""layer {{
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  include {{ phase: {phase} }}
  transform_param {{ {transform} }}
  data_param {{ source: "{experiment.data}_{name}_lmdb" backend: LMDB batch_size: {batch} }}
}}
"""


def normalised(experiment: Experiment, name: str) -> str:
    """Batch normalisation with a learned scale, then ReLU, all in place."""
    text = ""
    if experiment.batch_norm:
        text += layer(f"bn_{name}", "BatchNorm", name, name, "batch_norm_param { moving_average_fraction: 0.95 }")
        rates = "param { lr_mult: 1 decay_mult: 0 } param { lr_mult: 1 decay_mult: 0 }"
        text += layer(f"scale_{name}", "Scale", name, name, rates, "scale_param { bias_term: true }")
    return text + layer(f"relu_{name}", "ReLU", name, name)


WEIGHTS = 'weight_filler { type: "msra" } bias_filler { type: "constant" }'
RATES = "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"


def body(experiment: Experiment) -> Iterator[str]:
    """conv0 to the classifier."""
    bottom = "data"
    for unit, (filters, count) in enumerate(((experiment.conv0, 1), *experiment.units)):
        for i in range(1, count + 1):
            name = f"conv{unit}" if unit == 0 else f"conv{unit}_{i}"
            shape = f"convolution_param {{ num_output: {filters} kernel_size: 3 pad: 1 {WEIGHTS} }}"
            yield layer(name, "Convolution", bottom, name, RATES, shape) + normalised(experiment, name)
            bottom = name
        if unit > 0:
            pool = "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"
            yield layer(f"pool{unit}", "Pooling", bottom, f"pool{unit}", pool)
            bottom = f"pool{unit}"
    fc = f"inner_product_param {{ num_output: {experiment.fc} {WEIGHTS} }}"
    yield layer("fc", "InnerProduct", bottom, "fc", RATES, fc) + normalised(experiment, "fc")
    scores = f"inner_product_param {{ num_output: {experiment.classes} {WEIGHTS} }}"
    yield layer("scores", "InnerProduct", "fc", "scores", RATES, scores)


def losses(experiment: Experiment) -> str:
    return f"""layer {{
  name: "accuracy"
  type: "Accuracy"
  bottom: "scores"
  bottom: "label"
  top: "accuracy"
  include {{ phase: TEST }}
}}
# Stage 1: the softmax loss, which gives a good start.
layer {{
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "scores"
  bottom: "label"
  top: "loss"
  exclude {{ stage: "sm_softmax" }}
}}
# Stage 2, with "stage: sm_softmax" in the solver: the soft-margin softmax loss, equation (6).
layer {{
  name: "loss"
  type: "SMSoftmaxLoss"
  bottom: "scores"
  bottom: "label"
  top: "loss"
  include {{ stage: "sm_softmax" }}
  smsoftmax_param {{ margin: {experiment.margin:g} }}
}}
"""


def net(experiment: Experiment) -> str:
    head = f'# {experiment.title}. Written by generate.py.\nname: "{experiment.folder}"\n'
    parts = [data_layer(experiment, "TRAIN"), data_layer(experiment, "TEST"), *body(experiment), losses(experiment)]
    return head + "".join(parts)


def solver(experiment: Experiment, stage: int, softmax_again: bool = False) -> str:
    """Stage 1 starts at 0.1 and steps down; stage 2 fine-tunes at 0.01, the last quarter at 0.001."""
    first = stage == 1
    steps = experiment.steps if first else (3 * experiment.max_iter // 12,)
    max_iter = experiment.max_iter if first else experiment.max_iter // 3
    prefix = f"runs/{experiment.folder}_stage{stage}" + ("_softmax" if softmax_again else "")
    loss = "SoftmaxWithLoss" if first or softmax_again else "SMSoftmaxLoss"
    head = f"# {experiment.title}, stage {stage}: {loss}. Written by generate.py.\n"
    if not first:
        weights = f"runs/{experiment.folder}_stage1_iter_{experiment.max_iter}.caffemodel"
        head += f"# Start from stage 1: --weights {weights}\n"
    lines = [
        f'net: "prototxt/{experiment.folder}/train_val.prototxt"',
        "test_iter: 100  # of 100 images: the whole test set",
        "test_interval: 1000",
        f"base_lr: {0.1 if first else 0.01}",
        'lr_policy: "multistep"',
        "gamma: 0.1",
        *(f"stepvalue: {step}" for step in steps),
        "momentum: 0.9",
        "weight_decay: 0.0005",
        f"max_iter: {max_iter}",
        "display: 100",
        "average_loss: 100",
        "snapshot: 1000",
        f'snapshot_prefix: "{prefix}"',
        "random_seed: 1",
    ]
    if not first and not softmax_again:
        lines += ['train_state { stage: "sm_softmax" }', 'test_state { stage: "sm_softmax" }']
    return head + "\n".join(lines) + "\n"


def files() -> Iterator[tuple[str, str]]:
    """(path below this folder, text) of every file."""
    for experiment in EXPERIMENTS:
        for suffix, variant in variants(experiment):
            yield f"{experiment.folder}/train_val{suffix}.prototxt", net(variant)
        yield f"{experiment.folder}/stage1_solver.prototxt", solver(experiment, 1)
        yield f"{experiment.folder}/stage2_solver.prototxt", solver(experiment, 2)
        yield f"{experiment.folder}/stage2_softmax_solver.prototxt", solver(experiment, 2, softmax_again=True)


if __name__ == "__main__":
    for path, text in files():
        (HERE / path).parent.mkdir(exist_ok=True)
        (HERE / path).write_text(text)
