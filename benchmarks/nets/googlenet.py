"""GoogLeNet (Szegedy et al., 2014) as BVLC Caffe has it: nine inceptions, LRN, two further losses in TRAIN."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nets.writing import Writer

IMAGE, CLASSES = (3, 224, 224), 1000
INCEPTIONS = {  # 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; projection of the pool
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip
POOLED, HEADS = ("3b", "4e"), {"4a": "loss1", "4d": "loss2"}


def prototxt(batch: int) -> str:
    net = Writer("GoogLeNet", IMAGE, batch)
    x = net.relu(net.conv("conv1", "data", 64, 7, "pad: 3 stride: 2"))
    x = net.lrn("norm1", net.pool("pool1", x, "pool: MAX kernel_size: 3 stride: 2"))
    x = net.relu(net.conv("conv2_reduce", x, 64, 1))
    x = net.relu(net.conv("conv2", x, 192, 3, "pad: 1"))
    x = net.pool("pool2", net.lrn("norm2", x), "pool: MAX kernel_size: 3 stride: 2")
    for name, widths in INCEPTIONS.items():
        x = _inception(net, f"inception_{name}", x, widths)
        if name in HEADS:
            _head(net, HEADS[name], x)
        if name in POOLED:
            x = net.pool(f"pool{name[0]}", x, "pool: MAX kernel_size: 3 stride: 2")
    x = net.dropout(net.pool("pool5", x, "pool: AVE kernel_size: 7 stride: 1"), 0.4)
    return net.classifier(net.inner("loss3_classifier", x, CLASSES))


def _inception(net: Writer, name: str, x: str, widths: tuple[int, ...]) -> str:
    one, reduce3, three, reduce5, five, project = widths
    a = net.relu(net.conv(f"{name}_1x1", x, one, 1))
    b = net.relu(net.conv(f"{name}_3x3_reduce", x, reduce3, 1))
    b = net.relu(net.conv(f"{name}_3x3", b, three, 3, "pad: 1"))
    c = net.relu(net.conv(f"{name}_5x5_reduce", x, reduce5, 1))
    c = net.relu(net.conv(f"{name}_5x5", c, five, 5, "pad: 2"))
    d = net.pool(f"{name}_pool", x, "pool: MAX kernel_size: 3 stride: 1 pad: 1")
    d = net.relu(net.conv(f"{name}_pool_proj", d, project, 1))
    return net.layer(f"{name}_output", "Concat", [a, b, c, d], [f"{name}_output"])


def _head(net: Writer, name: str, x: str) -> None:
    x = net.pool(f"{name}_pool", x, "pool: AVE kernel_size: 5 stride: 3", "TRAIN")
    x = net.relu(net.conv(f"{name}_conv", x, 128, 1, phase="TRAIN"), "TRAIN")
    x = net.dropout(net.relu(net.inner(f"{name}_fc", x, 1024, "TRAIN"), "TRAIN"), 0.7, "TRAIN")
    net.loss(name, net.inner(f"{name}_classifier", x, CLASSES, "TRAIN"), 0.3)


def _conv(channels: int, filters: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels, filters, kernel, stride, kernel // 2), nn.ReLU(inplace=True)]


class Inception(nn.Module):
    def __init__(self, channels: int, *widths: int) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, project = widths
        self.one = nn.Sequential(*_conv(channels, one, 1))
        self.three = nn.Sequential(*_conv(channels, reduce3, 1), *_conv(reduce3, three, 3))
        self.five = nn.Sequential(*_conv(channels, reduce5, 1), *_conv(reduce5, five, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), *_conv(channels, project, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.one(x), self.three(x), self.five(x), self.pooled(x)), 1)


class Head(nn.Sequential):
    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.AvgPool2d(5, 3, ceil_mode=True), *_conv(channels, 128, 1), nn.Flatten(), nn.Linear(2048, 1024),
            nn.ReLU(inplace=True), nn.Dropout(0.7), nn.Linear(1024, CLASSES),
        )  # fmt: skip


class GoogLeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *_conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5),
            *_conv(64, 64, 1), *_conv(64, 192, 3), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2, ceil_mode=True),
        )  # fmt: skip
        self.blocks = nn.ModuleDict()
        channels = 192
        for name, widths in INCEPTIONS.items():
            self.blocks[name] = Inception(channels, *widths)
            channels = widths[0] + widths[2] + widths[4] + widths[5]
            if name in HEADS:
                self.blocks[HEADS[name]] = Head(channels)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.last = nn.Sequential(nn.AvgPool2d(7, 1), nn.Dropout(0.4), nn.Flatten(), nn.Linear(1024, CLASSES))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        x = self.stem(x)
        losses = []
        for name in INCEPTIONS:
            x = self.blocks[name](x)
            if label is not None and name in HEADS:
                losses.append(0.3 * F.cross_entropy(self.blocks[HEADS[name]](x), label))
            if name in POOLED:
                x = self.pool(x)
        x = self.last(x)
        return F.softmax(x, 1) if label is None else sum(losses, F.cross_entropy(x, label))


by_hand = GoogLeNet
