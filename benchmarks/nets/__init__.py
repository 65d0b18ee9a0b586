"""Well-known nets, each twice: ``prototxt()`` writes it as Caffe knows it, ``by_hand()`` builds it in plain torch.

The parameters of both come in one order, so that weights can be copied from one to the other. ``by_hand()`` takes
images and labels in train mode and returns the loss; in eval mode it takes images and returns probabilities.
"""

from __future__ import annotations

from nets import alexnet, cifar_quick, googlenet, resnet50, vgg16

NETS = {
    "alexnet": alexnet,
    "googlenet": googlenet,
    "resnet50": resnet50,
    "vgg16": vgg16,
    "cifar_quick": cifar_quick,
}
