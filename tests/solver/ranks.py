"""Trainings of several processes on the CPU, for tests. Run as a program, this is one of the processes.

The processes go through the scenarios that they are told of, each in a folder of its name, and print what these
return: starting them costs more than what they do.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Processes = list[subprocess.Popen[str]]


def start(folder: Path, scenarios: list[str], count: int = 2, timeout: int = 60) -> Processes:
    """The processes, on their way through ``scenarios``."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    shared = {
        **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CAFFE_COMPAT_TIMEOUT": str(timeout),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count),
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.solver.ranks", *scenarios]
    return [
        subprocess.Popen(
            command, cwd=folder, env={**shared, "RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(count)
    ]  # fmt: skip


def ended(processes: Processes) -> list[tuple[int, str, str]]:
    """Exit status, stdout and stderr of each."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        found.append((process.returncode, out, err))
    return found


def results(folder: Path, scenarios: list[str], count: int = 2) -> dict[str, list[Any]]:
    """What each scenario returned, by rank; all must end well."""
    found: list[dict[str, Any]] = []
    for status, out, err in ended(start(folder, scenarios, count)):
        assert status == 0, err
        found.append(json.loads(out))
    return {name: [rank[name] for rank in found] for name in scenarios}


# ---- the scenarios, in each process


def trained(ranks: Any, **options: Any) -> dict[str, Any]:
    """A training to its end."""
    from tests.solver.making import Run, parameters

    run = Run("solver.prototxt", ranks=ranks, **options)
    run.solver.solve()
    return {
        "parameters": {name: value.hex() for name, value in parameters(run.solver).items()},
        "rows": run.rows("train_loss"), "events": len(run.events), "position": run.solver.net.sources["data"].position,
    }  # fmt: skip


def resumed(ranks: Any) -> dict[str, Any]:
    """A training to its end, and its second half again."""
    whole = trained(ranks)
    return {"whole": whole, "again": trained(ranks, snapshot="snap_iter_5.solverstate")}


def drawn(ranks: Any) -> dict[str, Any]:
    """A solver without a seed: what is equal on all ranks, and what is not."""
    import torch

    from tests.solver.making import Run, parameters

    run = Run("solver.prototxt", ranks=ranks)
    before = parameters(run.solver)["fc.0"].hex()
    mask = torch.rand(4).tolist()
    run.solver.step(1)
    return {"seed": run.solver.seed, "before": before, "mask": mask, "after": parameters(run.solver)["fc.0"].hex()}


def asked(ranks: Any) -> list[Any]:
    """Rank 1 asks for a snapshot, then for the end."""
    from tests.solver.making import Run

    run = Run("solver.prototxt", ranks=ranks)
    requests = {1: "snapshot", 4: "stop"}
    run.solver.action = lambda: requests.get(run.solver.iter) if ranks.index == 1 else None
    run.solver.step(12)
    return [run.solver.iter, run.solver.stopped]


def half(ranks: Any) -> list[Any]:
    """fp16, from a scale at which some updates overflow."""
    from tests.solver.making import Run, parameters

    run = Run("solver.prototxt", ranks=ranks, precision="fp16")
    run.solver.precision.restore(2.0**30, 0)
    run.solver.solve()
    return [run.solver.precision.state, parameters(run.solver)["fc.0"].hex()]


def endless(ranks: Any) -> None:
    """Trains until somebody ends it."""
    from tests.solver.making import Run

    run = Run("solver.prototxt", ranks=ranks)
    print("ready", flush=True)
    run.solver.solve()


def silent(ranks: Any) -> None:
    """Rank 1 does not answer."""
    if ranks.index == 0:
        return endless(ranks)
    time.sleep(20)
    os._exit(3)


SCENARIOS: dict[str, Callable[[Any], Any]] = {
    "SGD": trained, "Adam": trained, "Nesterov": trained, "iter_size": trained, "resumed": resumed,
    "remembering": resumed, "drawn": drawn, "asked": asked, "half": half, "endless": endless, "silent": silent,
}  # fmt: skip


def main() -> None:
    import torch

    from caffe_compat.solver.distributed import ProcessGroup

    torch.set_num_threads(1)
    folder = Path.cwd()
    found = {}
    with ProcessGroup(torch.device("cpu")) as ranks:
        for name in sys.argv[1:]:
            os.chdir(folder / name)
            found[name] = SCENARIOS[name](ranks)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
