"""VGG with 16 layers (Simonyan and Zisserman, 2014): 138 million weights."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nets.writing import Writer

IMAGE, CLASSES = (3, 224, 224), 1000
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def prototxt(batch: int) -> str:
    net = Writer("VGG16", IMAGE, batch)
    x = "data"
    for b, (filters, count) in enumerate(BLOCKS, 1):
        for i in range(1, count + 1):
            x = net.relu(net.conv(f"conv{b}_{i}", x, filters, 3, "pad: 1"))
        x = net.pool(f"pool{b}", x, "pool: MAX kernel_size: 2 stride: 2")
    x = net.dropout(net.relu(net.inner("fc6", x, 4096)))
    x = net.dropout(net.relu(net.inner("fc7", x, 4096)))
    return net.classifier(net.inner("fc8", x, CLASSES))


class VGG16(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for filters, count in BLOCKS:
            for _ in range(count):
                layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
                channels = filters
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, CLASSES),
        )  # fmt: skip

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        x = self.classifier(self.features(x).flatten(1))
        return F.softmax(x, 1) if label is None else F.cross_entropy(x, label)


by_hand = VGG16
