"""What the machine computes on, with and without GPUs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from caffe_compat.cli.options import devices
from caffe_compat.errors import CaffeCompatError
from caffe_compat.tools.devices import as_text, cpu, gpus


def pretend(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    facts = SimpleNamespace(name="Card", total_memory=80 << 30, major=9, minor=0, multi_processor_count=132)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: facts)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (40 << 30, 80 << 30))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90"])


def test_without_a_gpu_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 0)
    text = as_text(cpu(), gpus())
    assert "CPU:" in text
    assert f"none; torch {torch.__version__}" in text
    with pytest.raises(CaffeCompatError, match=r"--gpu 0: no GPU was found \(torch"):
        gpus("0")


def test_gpus_are_listed_and_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 3)
    assert [card["id"] for card in gpus()] == [0, 1, 2]
    assert [card["id"] for card in gpus("2,0")] == [2, 0]
    text = as_text(cpu(), gpus("1"))
    assert "GPU 1:                 Card" in text
    assert "80.0 GiB (40.0 GiB free)" in text
    assert "compute capability:  9.0" in text
    with pytest.raises(CaffeCompatError, match="GPUs found: 0 to 2; accepted: numbers separated by commas, or all"):
        gpus("3")


def test_a_training_chooses_its_gpus_without_a_look_at_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look occupies a part of a GPU's memory for as long as the process lives, and each rank has one GPU."""
    pretend(monkeypatch, 3)
    for name in ("get_device_properties", "mem_get_info"):
        monkeypatch.setattr(torch.cuda, name, None)
    assert devices(SimpleNamespace(gpu="2,0", threads=None)) == ["cuda:2", "cuda:0"]
    assert devices(SimpleNamespace(gpu="all", threads=None)) == ["cuda:0", "cuda:1", "cuda:2"]
