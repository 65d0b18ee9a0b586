"""Caffe's file formats: the schema, text files with their positions, upgrades of old files, binary files."""

from __future__ import annotations

from caffe_compat.proto import pb
from caffe_compat.proto.binary import read_binary
from caffe_compat.proto.blocks import block_fields, extend_layer
from caffe_compat.proto.document import Document
from caffe_compat.proto.fields import is_repeated
from caffe_compat.proto.files import read_net, read_solver
from caffe_compat.proto.parser import parse_text
from caffe_compat.proto.printer import print_text
from caffe_compat.proto.upgrade import upgrade_net, upgrade_solver

__all__ = [
    "Document",
    "block_fields",
    "extend_layer",
    "is_repeated",
    "parse_text",
    "pb",
    "print_text",
    "read_binary",
    "read_net",
    "read_solver",
    "upgrade_net",
    "upgrade_solver",
]
