"""ResNet-50 (He et al., 2015) as its authors' Caffe has it: the stride in the first 1 x 1, BatchNorm and Scale."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nets.writing import Writer

IMAGE, CLASSES = (3, 224, 224), 1000
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


def prototxt(batch: int) -> str:
    net = Writer("ResNet-50", IMAGE, batch)
    x = net.relu(_unit(net, "conv1", "data", 64, 7, "pad: 3 stride: 2"))
    x = net.pool("pool1", x, "pool: MAX kernel_size: 3 stride: 2")
    for s, (width, count) in enumerate(STAGES, 2):
        for block in "abcdef"[:count]:
            stride = 2 if s > 2 and block == "a" else 1
            x = _bottleneck(net, f"res{s}{block}", x, width, stride, block == "a")
    x = net.pool("pool5", x, "pool: AVE kernel_size: 7 stride: 1")
    return net.classifier(net.inner("fc1000", x, CLASSES))


def _unit(net: Writer, name: str, x: str, filters: int, kernel: int, rest: str = "") -> str:
    return net.norm(net.conv(name, x, filters, kernel, f"{rest} bias_term: false"))


def _bottleneck(net: Writer, name: str, x: str, width: int, stride: int, project: bool) -> str:
    short = _unit(net, f"{name}_branch1", x, 4 * width, 1, f"stride: {stride}") if project else x
    y = net.relu(_unit(net, f"{name}_branch2a", x, width, 1, f"stride: {stride}"))
    y = net.relu(_unit(net, f"{name}_branch2b", y, width, 3, "pad: 1"))
    y = _unit(net, f"{name}_branch2c", y, 4 * width, 1)
    return net.relu(net.layer(name, "Eltwise", [short, y], [name]))


class Bottleneck(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(*_conv(channels, 4 * width, 1, stride)) if project else nn.Identity()
        self.branch = nn.Sequential(
            *_conv(channels, width, 1, stride), nn.ReLU(inplace=True),
            *_conv(width, width, 3, 1), nn.ReLU(inplace=True),
            *_conv(width, 4 * width, 1, 1),
        )  # fmt: skip
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.shortcut(x) + self.branch(x))


def _conv(channels: int, filters: int, kernel: int, stride: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(filters)


class ResNet50(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers = [*_conv(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True)]
        channels = 64
        for s, (width, count) in enumerate(STAGES):
            for i in range(count):
                layers.append(Bottleneck(channels, width, 2 if s and not i else 1, i == 0))
                channels = 4 * width
        self.features = nn.Sequential(*layers, nn.AvgPool2d(7, 1))
        self.fc = nn.Linear(2048, CLASSES)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        x = self.fc(self.features(x).flatten(1))
        return F.softmax(x, 1) if label is None else F.cross_entropy(x, label)


by_hand = ResNet50
