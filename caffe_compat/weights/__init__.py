"""Weight files: .caffemodel, and mean images."""

from __future__ import annotations

from caffe_compat.weights.caffemodel import read_caffemodel, save_caffemodel
from caffe_compat.weights.load import LoadReport, load_weights
from caffe_compat.weights.mean import read_mean, write_mean

__all__ = ["LoadReport", "load_weights", "read_caffemodel", "read_mean", "save_caffemodel", "write_mean"]
