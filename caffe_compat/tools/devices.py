"""What this machine computes on: CPU threads and GPUs."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

from caffe_compat.errors import CaffeCompatError


def cpu() -> dict[str, Any]:
    """name; logical: CPUs of the machine; usable: those that this process may use; threads: those torch takes."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"name": _cpu_name(), "logical": os.cpu_count(), "usable": usable, "threads": torch.get_num_threads()}


def gpus(wanted: str = "all") -> list[dict[str, Any]]:
    """One row a GPU of ``wanted`` ("all", "0", "0,2"): id, name, memory in bytes, compute capability, ...

    Raises CaffeCompatError for a GPU that is not there.
    """
    return [_gpu(index) for index in gpu_ids(wanted)]


def gpu_ids(wanted: str) -> list[int]:
    """The numbers of the GPUs of ``wanted``, without a look at them, which would occupy each. Raises as ``gpus``."""
    return _indices(wanted, torch.cuda.device_count())


def no_gpu_reason() -> str:
    """Why torch finds no GPU."""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} is built for the CPU only"
    return f"torch {torch.__version__} finds no GPU; look at nvidia-smi and CUDA_VISIBLE_DEVICES"


def _indices(wanted: str, count: int) -> list[int]:
    if wanted == "all":
        return list(range(count))
    parts = wanted.split(",")
    if not all(part.isdigit() and int(part) < count for part in parts):
        found = f"GPUs found: 0 to {count - 1}" if count else f"no GPU was found ({no_gpu_reason()})"
        raise CaffeCompatError(f"--gpu {wanted}: {found}; accepted: numbers separated by commas, or all")
    return [int(part) for part in parts]


def _gpu(index: int) -> dict[str, Any]:
    facts = torch.cuda.get_device_properties(index)
    return {
        "id": index,
        "name": facts.name,
        "memory": facts.total_memory,
        "free": torch.cuda.mem_get_info(index)[0],
        "capability": f"{facts.major}.{facts.minor}",
        "multiprocessors": facts.multi_processor_count,
        "built_for": torch.cuda.get_arch_list(),
    }


def _cpu_name() -> str:
    """The processor's name as the system tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    found = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return found or platform.processor() or platform.machine()


def as_text(processor: dict[str, Any], cards: list[dict[str, Any]]) -> str:
    """What `device_query` prints."""
    usable = f"{processor['usable']} of {processor['logical']} logical CPUs may be used"
    lines = [
        f"CPU:                   {processor['name']}",
        f"  threads:             {processor['threads']} by default ({usable})",
    ]
    for card in cards:
        lines += [
            f"GPU {card['id']}:                 {card['name']}",
            f"  memory:              {card['memory'] / 2**30:.1f} GiB ({card['free'] / 2**30:.1f} GiB free)",
            f"  compute capability:  {card['capability']}",
            f"  multiprocessors:     {card['multiprocessors']}",
        ]
    return "\n".join(lines if cards else [*lines, f"GPU:                   none; {no_gpu_reason()}"])
