"""Well-known nets from prototxt against the same nets written by hand in torch, with the same weights.

``python benchmarks/models.py [--nets ...] [--what build,forward,train,lstm] [--threads 1] [--rounds 5] [--batch 2]``

build: milliseconds from prototxt text to a net without a file of weights: parsing, shapes (all passes on the meta
device), blobs with their fillers. forward: phase TEST. train: forward, backward and SGD with momentum and weight
decay: our Solver, fed from memory, against torch.optim.SGD. lstm: the LSTM layer against torch.nn.LSTM
where all sequences begin at the first step, and against a loop of torch.nn.LSTMCell where they begin anywhere.
More than 1 means that ours is faster. Both take turns, and the median of the ratios of neighbours is told, because
the machine's speed drifts. First both are compared: outputs, losses, and what SGD remembers of the gradients.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from types import ModuleType

import torch
from nets import NETS
from torch import Tensor, nn

from caffe_compat import Net, Solver
from caffe_compat.layers.batch_norm import BatchNorm
from caffe_compat.layers.lstm import LSTM
from caffe_compat.proto import read_net

RATE, MOMENTUM, DECAY = 1e-5, 0.9, 0.0005  # so slow that the nets stay as they are
STEPS, STREAMS, SIZE = 20, 16, 256
PATIENCE = 15  # seconds after which three rounds are enough


def seconds(call: Callable[[], object], times: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


# ---- build


def build(name: str, text: str) -> None:
    read_net(text)
    stages = []
    for _ in range(3):
        start = time.perf_counter()
        document = read_net(text)
        parsed = time.perf_counter()
        Net(document, "TRAIN", device="meta")
        shaped = time.perf_counter()
        net = Net(document, "TRAIN")
        stages.append([parsed - start, shaped - parsed, time.perf_counter() - shaped])
        count = sum(param.numel() for param in net.parameters()) / 1e6
        del net
    parse, shapes, whole = (1e3 * statistics.median(times) for times in zip(*stages, strict=True))
    print(
        f"{name:<12} {count:5.1f} M weights  build {parse + whole:4.0f} ms: "
        f"parse {parse:.0f}, shapes {shapes:.0f}, fillers {max(0, whole - shapes):.0f}"
    )


# ---- ours and by hand


def solver(text: str, feed: Callable[[], dict[str, Tensor]]) -> Solver:
    made = Solver(
        f'net_param {{ {text} }} lr_policy: "fixed" base_lr: {RATE} momentum: {MOMENTUM} weight_decay: {DECAY} '
        "max_iter: 1000000 snapshot_after_train: false random_seed: 1",
        log=lambda event: None,
    )
    made.feed = feed
    return made


def copied(net: Net, hand: nn.Module) -> nn.Module:
    """``hand`` with the net's weights, whose order is the same."""
    with torch.no_grad():
        for ours, theirs in zip(net.parameters(), hand.parameters(), strict=True):
            theirs.copy_(ours.view_as(theirs))
    return hand


def by_hand(hand: nn.Module, image: Tensor, label: Tensor) -> tuple[Callable[[], Tensor], torch.optim.Optimizer]:
    optimizer = torch.optim.SGD(hand.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = hand(image, label)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, optimizer


def assert_equal(what: str, ours: Tensor, theirs: Tensor, tolerance: float = 1e-4) -> None:
    error = float(((ours - theirs).abs().max() / theirs.abs().max()).detach())
    assert error < tolerance, f"{what} differs by {error:.1e} of the largest value"


def seeded(call: Callable[[], object]) -> object:
    torch.manual_seed(7)  # of Dropout
    return call()


def models(name: str, net: ModuleType, batch: int, what: list[str], rounds: int) -> None:
    text = net.prototxt(batch)
    image = torch.randn(batch, *net.IMAGE, generator=torch.Generator().manual_seed(0))
    label = torch.arange(batch) * 3 % net.CLASSES
    ours = solver(text, lambda: {"data": image, "label": label})
    hand = copied(ours.net, net.by_hand())
    if "train" in what:
        train(name, ours, *by_hand(hand, image, label), rounds)
    if "forward" in what:
        copied(ours.net, hand)
        state = ours.net.state_dict()
        forward(name, text, state, hand, image, rounds)


def train(name: str, ours: Solver, step: Callable[[], Tensor], optimizer: torch.optim.Optimizer, rounds: int) -> None:
    seeded(lambda: ours.step(1))
    loss = seeded(step)
    assert isinstance(loss, Tensor)
    assert_equal(f"{name}: loss", ours.net.loss.detach(), loss)
    remembered = [state["momentum_buffer"] for state in optimizer.state_dict()["state"].values()]
    entries = zip(ours.net.learnable, ours.updater.history, strict=True)
    history = [(entry, mine) for entry, mine in entries if entry.lr_mult]
    for (entry, mine), theirs in zip(history, remembered, strict=True):
        what, maxima_elsewhere = f"{name}: {entry.layer}'s history", 1e-2  # rounding may move a maximum to a neighbour
        assert_equal(what, mine / RATE, theirs.view_as(mine), maxima_elsewhere)
    compare(f"{name:<12} train  ", lambda: ours.step(1), step, rounds)


def forward(name: str, text: str, state: dict[str, Tensor], hand: nn.Module, image: Tensor, rounds: int) -> None:
    net = Net(read_net(text), "TEST", device="meta").to_empty(device="cpu")
    net.load_state_dict({key: state[key] for key in net.state_dict()})
    copy_statistics(net, hand)
    hand.eval()
    with torch.inference_mode():
        assert_equal(f"{name}: probabilities", net(image)["prob"], hand(image))
        compare(f"{name:<12} forward", lambda: net(image), lambda: hand(image), rounds)


def copy_statistics(net: Net, hand: nn.Module) -> None:
    norms = [module for module in hand.modules() if isinstance(module, nn.BatchNorm2d)]
    ours = [node.layer for node in net.nodes if isinstance(node.layer, BatchNorm)]
    for theirs, layer in zip(norms, ours, strict=True):
        mean, variance = layer.global_statistics()
        theirs.running_mean.copy_(mean)
        theirs.running_var.copy_(variance)


def compare(title: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> None:
    seconds(ours)
    times = max(1, int(0.1 / seconds(theirs)))
    seconds(ours, times)
    ratios, slow, start = [], [], time.perf_counter()
    while len(ratios) < rounds and (len(ratios) < 3 or time.perf_counter() - start < PATIENCE):
        first, other, second = seconds(ours, times), seconds(theirs, times), seconds(ours, times)
        ratios.append(2 * other / (first + second))
        slow.append(min(first, second))
    print(
        f"{title} {statistics.median(ratios):5.2f}x  ({min(ratios):.2f} to {max(ratios):.2f}), "
        f"{1e3 * statistics.median(slow):.1f} ms",
        flush=True,
    )


# ---- LSTM


def lstm(rounds: int) -> None:
    torch.manual_seed(1)
    theirs, cell = nn.LSTM(SIZE, SIZE), nn.LSTMCell(SIZE, SIZE)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in theirs.state_dict().items()})
    ours = LSTM(num_output=SIZE)
    ours.build((STEPS, STREAMS, SIZE), (STEPS, STREAMS))
    copy_gates(theirs, ours)
    x = torch.randn(STEPS, STREAMS, SIZE, requires_grad=True)
    at_start, anywhere = torch.ones(STEPS, STREAMS), (torch.rand(STEPS, STREAMS) > 0.1).float()
    at_start[0] = anywhere[0] = 0
    layers(rounds, "lstm", x, lambda: ours(x, at_start), lambda: theirs(x)[0])
    layers(rounds, "lstm, cell", x, lambda: ours(x, anywhere), lambda: by_cell(cell, x, anywhere))


def by_cell(cell: nn.LSTMCell, x: Tensor, cont: Tensor) -> Tensor:
    hidden = memory = x.new_zeros(STREAMS, SIZE)
    tops = []
    for step, kept in zip(x, cont.unsqueeze(-1), strict=True):
        hidden, memory = cell(step, (hidden * kept, memory * kept))
        tops.append(hidden)
    return torch.stack(tops)


def layers(rounds: int, name: str, x: Tensor, ours: Callable[[], Tensor], theirs: Callable[[], Tensor]) -> None:
    assert_equal(f"{name}: top", ours(), theirs())
    grads = [torch.autograd.grad((top * top).sum(), x)[0] for top in (ours(), theirs())]
    assert_equal(f"{name}: gradient", *grads)
    gradient = torch.randn_like(x)
    compare(f"{name:<12} train  ", lambda: ours().backward(gradient), lambda: theirs().backward(gradient), rounds)
    with torch.inference_mode():
        compare(f"{name:<12} forward", ours, theirs, rounds)


@torch.no_grad()
def copy_gates(theirs: nn.LSTM, ours: LSTM) -> None:
    """Gates i, f, g, o become i, f, o, g; two biases become one."""
    order = torch.cat([torch.arange(SIZE) + SIZE * gate for gate in (0, 1, 3, 2)])
    ours.W_xc.copy_(theirs.weight_ih_l0[order])
    ours.W_hc.copy_(theirs.weight_hh_l0[order])
    ours.b_c.copy_((theirs.bias_ih_l0 + theirs.bias_hh_l0)[order])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--what", default="build,forward,train,lstm")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    what = args.what.split(",")
    print(f"ours / by hand in images per second, batch {args.batch}, {args.threads} thread(s), CPU")
    if "build" in what:
        first = seconds(lambda: Net(read_net(NETS["cifar_quick"].prototxt(1)), device="meta"))
        print(f"the first net of a process: {1e3 * first:.0f} ms, in which torch imports its kernels for meta tensors")
    for name in args.nets.split(","):
        if "build" in what:
            build(name, NETS[name].prototxt(args.batch))
        if {"forward", "train"} & {*what}:
            models(name, NETS[name], args.batch, what, args.rounds)
    if "lstm" in what:
        lstm(args.rounds)


if __name__ == "__main__":
    main()
