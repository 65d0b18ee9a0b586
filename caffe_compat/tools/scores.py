"""Mean outputs of a net over batches of its data, as `caffe test` reports them."""

from __future__ import annotations

import sys

import torch

from caffe_compat.errors import NetError
from caffe_compat.net import Net


def mean_scores(net: Net, iterations: int, each: bool = False) -> tuple[float, dict[str, torch.Tensor]]:
    """(mean loss, output blob -> its mean over the batches, in float64). ``each`` prints every batch.

    Raises NetError for a net that has inputs instead of a data layer.
    """
    if net.inputs:
        raise NetError(
            f"the net has inputs ({', '.join(net.inputs)}) and no data layer to score; name its train_val prototxt, "
            "or score the exported .onnx with 'caffe-compat evaluate'"
        )
    loss, sums = 0.0, {name: torch.zeros((), dtype=torch.float64) for name in net.outputs}
    with torch.no_grad():
        for i in range(iterations):
            outputs = net()
            loss += float(net.loss)
            for name, values in outputs.items():
                if each:
                    for value in values.flatten().tolist():
                        print(f"Batch {i}, {name} = {value:g}")
                sums[name] = sums[name] + values.double().cpu()
    return loss / iterations, {name: total / iterations for name, total in sums.items()}


def print_scores(net: Net, iterations: int) -> None:
    """Print the loss and every output, averaged over ``iterations`` batches."""
    if iterations < 1:
        raise NetError(f"{iterations} iterations are asked for; accepted: 1 or more")
    print(f"Running for {iterations} iterations.", file=sys.stderr)
    loss, means = mean_scores(net, iterations, each=True)
    print(f"Loss: {loss:g}")
    weights = {top: weight for node in net.nodes for top, weight in zip(node.tops, node.loss_weights, strict=True)}
    for name, values in means.items():
        weight = weights.get(name, 0)
        for value in values.flatten().tolist():
            print(f"{name} = {value:g}" + (f" (* {weight:g} = {weight * value:g} loss)" if weight else ""))
