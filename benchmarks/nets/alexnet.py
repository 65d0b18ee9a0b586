"""AlexNet (Krizhevsky et al., 2012) as BVLC Caffe has it: two groups, LRN before pooling."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nets.writing import Writer

IMAGE, CLASSES = (3, 227, 227), 1000


def prototxt(batch: int) -> str:
    net = Writer("AlexNet", IMAGE, batch)
    x = net.relu(net.conv("conv1", "data", 96, 11, "stride: 4"))
    x = net.pool("pool1", net.lrn("norm1", x), "pool: MAX kernel_size: 3 stride: 2")
    x = net.relu(net.conv("conv2", x, 256, 5, "pad: 2 group: 2"))
    x = net.pool("pool2", net.lrn("norm2", x), "pool: MAX kernel_size: 3 stride: 2")
    x = net.relu(net.conv("conv3", x, 384, 3, "pad: 1"))
    x = net.relu(net.conv("conv4", x, 384, 3, "pad: 1 group: 2"))
    x = net.relu(net.conv("conv5", x, 256, 3, "pad: 1 group: 2"))
    x = net.pool("pool5", x, "pool: MAX kernel_size: 3 stride: 2")
    x = net.dropout(net.relu(net.inner("fc6", x, 4096)))
    x = net.dropout(net.relu(net.inner("fc7", x, 4096)))
    return net.classifier(net.inner("fc8", x, CLASSES))


class AlexNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 11, 4), nn.ReLU(inplace=True), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(inplace=True), nn.LocalResponseNorm(5),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Linear(256 * 6 * 6, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, CLASSES),
        )  # fmt: skip

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        x = self.classifier(self.features(x).flatten(1))
        return F.softmax(x, 1) if label is None else F.cross_entropy(x, label)


by_hand = AlexNet
