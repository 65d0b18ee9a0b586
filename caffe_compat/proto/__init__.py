"""Caffe's file formats: the schema, text files with their positions, upgrades of old files, binary files."""

from __future__ import annotations
