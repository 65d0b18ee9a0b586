"""Several processes that train one net, each on its own batches (as Caffe's multi-GPU solver)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType

import torch
import torch.distributed as dist
from torch import Tensor
from torch._utils import _flatten_dense_tensors, _take_tensors, _unflatten_dense_tensors

from caffe_compat.errors import SolverError

TIMEOUT = "CAFFE_COMPAT_TIMEOUT"
"""The environment variable that says for how many seconds a process waits for the others; default 1800."""
_BUCKET = 32 << 20
REQUESTS = (None, "snapshot", "stop")


class Ranks:
    """The processes of a training: here one, alone. ``index`` of ``count``; the ``first`` logs, tests and snapshots."""

    index, count = 0, 1

    @property
    def first(self) -> bool:
        return self.index == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over the ranks into the tensors of each: their sum, divided by ``count``, as in Caffe."""

    def equalize(self, tensors: Sequence[Tensor]) -> None:
        """Give all ranks the first one's values."""

    def same(self, number: int) -> int:
        """The first rank's number."""
        return number

    def agree(self, request: str | None) -> str | None:
        """The strongest request of all ranks: "stop", "snapshot" or None."""
        return request

    def collect(self, value: bytes) -> list[bytes]:
        """The values of all ranks, by rank."""
        return [value]


class ProcessGroup(Ranks):
    """This process among those that torchrun, or ``train --gpu 0,1``, has started; used as a context.

    device: where this rank computes. NCCL connects GPUs, gloo the rest. Raises SolverError where a rank is lost: it
    has died, or does not answer for CAFFE_COMPAT_TIMEOUT seconds (default 1800; the others wait while the first one
    tests).
    """

    def __init__(self, device: torch.device) -> None:
        self.index, self.count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)  # NCCL looks at it
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        with self._together("the start"):
            dist.init_process_group(backend, timeout=timedelta(seconds=_timeout()))

    def __enter__(self) -> ProcessGroup:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            with self._together("the end"):
                dist.barrier()  # so that none goes while another still needs it
            dist.destroy_process_group()

    def average(self, tensors: Sequence[Tensor]) -> None:
        with self._together("adding up gradients"):
            for bucket in _take_tensors(tensors, _BUCKET):
                flat = _flatten_dense_tensors(bucket)
                dist.all_reduce(flat)
                flat.mul_(1 / self.count)
                torch._foreach_copy_(bucket, list(_unflatten_dense_tensors(flat, bucket)))

    def equalize(self, tensors: Sequence[Tensor]) -> None:
        with self._together("sending the weights"), torch.no_grad():
            for bucket in _take_tensors(tensors, _BUCKET):
                flat = _flatten_dense_tensors(bucket)
                dist.broadcast(flat, 0)
                torch._foreach_copy_(bucket, list(_unflatten_dense_tensors(flat, bucket)))

    def same(self, number: int) -> int:
        value = torch.tensor(number, dtype=torch.int64)
        with self._together("the start"):
            dist.broadcast(value, 0)
        return int(value)

    def agree(self, request: str | None) -> str | None:
        """Waits for the other hosts, not for the devices."""
        value = torch.tensor(REQUESTS.index(request))
        with self._together("an iteration"):
            dist.all_reduce(value, dist.ReduceOp.MAX)
        return REQUESTS[int(value)]

    def collect(self, value: bytes) -> list[bytes]:
        lengths = [int(length) for length in self._gather(torch.tensor([len(value)]))]
        padded = torch.zeros(max(lengths), dtype=torch.uint8)
        padded[: len(value)] = torch.frombuffer(bytearray(value), dtype=torch.uint8)
        return [bytes(part[:length].numpy()) for part, length in zip(self._gather(padded), lengths, strict=True)]

    def _gather(self, mine: Tensor) -> list[Tensor]:
        """The tensors of all ranks, which are of one size."""
        parts = [torch.empty_like(mine) for _ in range(self.count)]
        with self._together("a snapshot"):
            dist.all_gather(parts, mine)
        return parts

    @contextmanager
    def _together(self, what: str) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise SolverError(
                f"rank {self.index} of {self.count} lost the others at {what} ({reason}); look above for the error of "
                "the rank that ended first; --snapshot auto continues the last snapshot"
            ) from error


def _timeout() -> float:
    text = os.environ.get(TIMEOUT, "1800")
    try:
        if float(text) > 0:
            return float(text)
    except ValueError:
        pass
    raise SolverError(f'the environment variable {TIMEOUT} is "{text}"; accepted: a number of seconds above 0')
