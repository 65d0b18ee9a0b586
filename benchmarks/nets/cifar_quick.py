"""CIFAR-10 quick, from Caffe's examples: pooling that overhangs, averages after the first."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nets.writing import Writer

IMAGE, CLASSES = (3, 32, 32), 10


def prototxt(batch: int) -> str:
    net = Writer("CIFAR10_quick", IMAGE, batch)
    x = net.relu(net.pool("pool1", net.conv("conv1", "data", 32, 5, "pad: 2"), "pool: MAX kernel_size: 3 stride: 2"))
    x = net.relu(net.conv("conv2", x, 32, 5, "pad: 2"))
    x = net.pool("pool2", x, "pool: AVE kernel_size: 3 stride: 2")
    x = net.relu(net.conv("conv3", x, 64, 5, "pad: 2"))
    x = net.pool("pool3", x, "pool: AVE kernel_size: 3 stride: 2")
    return net.classifier(net.inner("ip2", net.inner("ip1", x, 64), CLASSES))


class CifarQuick(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(inplace=True), nn.AvgPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(inplace=True), nn.AvgPool2d(3, 2, ceil_mode=True),
            nn.Flatten(), nn.Linear(64 * 4 * 4, 64), nn.Linear(64, CLASSES),
        )  # fmt: skip

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        x = self.layers(x)
        return F.softmax(x, 1) if label is None else F.cross_entropy(x, label)


by_hand = CifarQuick
