"""A net as a picture: boxes from the layers, ranks and places of the boxes, and a scene that SVG and PNG files show."""

from __future__ import annotations

from caffe_compat.tools.draw.picture import draw_net

__all__ = ["draw_net"]
