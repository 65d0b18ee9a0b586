"""Caffe's file formats: the schema, text files with their positions, upgrades of old files, binary files."""

from __future__ import annotations

from caffe_compat.proto import pb
from caffe_compat.proto.document import Document
from caffe_compat.proto.parser import parse_text
from caffe_compat.proto.printer import print_text

__all__ = ["Document", "parse_text", "pb", "print_text"]
