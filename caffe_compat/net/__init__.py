"""From a NetParameter to a runnable net."""

from __future__ import annotations

from caffe_compat.net.net import Net
from caffe_compat.net.node import Node
from caffe_compat.net.sharing import LearnableParam
from caffe_compat.net.state import NetState

__all__ = ["LearnableParam", "Net", "NetState", "Node"]
