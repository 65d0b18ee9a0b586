"""The cases in a folder of golden values: one `Case` for each thing that is tested alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

Noise = Mapping[str, Mapping[str, float]]
Finder = Callable[[Path, Noise], Iterator["Case"]]


@dataclass(frozen=True)
class Case:
    """One case. ``path``: its .npz file, or its folder under ``files``. ``entry``: its item of a JSON list.

    ``noise``: what two runs of Caffe itself differ by, for each array.
    """

    group: str
    name: str
    path: Path
    noise: Mapping[str, float] = field(default_factory=dict)
    entry: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        path = self.path / "expected.npz" if self.path.is_dir() else self.path
        with np.load(path) as arrays:
            return {key: arrays[key] for key in arrays.files}

    @cached_property
    def meta(self) -> dict[str, Any]:
        return json.loads(self.text("meta"))

    def text(self, key: str) -> str:
        return str(self.arrays[key])

    def part(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays whose key begins with ``prefix`` and a dot, by the rest of the key."""
        start = prefix + "."
        return {key[len(start) :]: value for key, value in self.arrays.items() if key.startswith(start)}


def find(folder: Path, finder: str) -> list[Case]:
    """The cases of one finder (see FINDERS) in a folder; none where the folder lacks that group."""
    noise_file = folder / "noise.json"
    noise = json.loads(noise_file.read_text()) if noise_file.exists() else {}
    return list(FINDERS[finder](folder, noise))


def _npz(group: str) -> Finder:
    def cases(folder: Path, noise: Noise) -> Iterator[Case]:
        for path in sorted((folder / group).glob("*.npz")):
            yield Case(group, path.stem, path, noise.get(f"{group}/{path.stem}", {}))

    return cases


def _verdicts(folder: Path, noise: Noise) -> Iterator[Case]:
    for path in (folder / "reject" / "verdicts.json", folder / "fuzz" / "refused.json"):
        for entry in json.loads(path.read_text()) if path.exists() else []:
            yield Case("reject", f"{entry['name']}:{entry['stage']}", path, entry=entry)


def _snapshots(folder: Path, noise: Noise) -> Iterator[Case]:
    for path in sorted((folder / "files").glob("snapshot_*")):
        case = Case("files", path.name, path)
        if case.part("iter5"):
            yield case


def _weights(folder: Path, noise: Noise) -> Iterator[Case]:
    path = folder / "files" / "weights_legacy"
    for weights in sorted(path.glob("*.caffemodel*")):
        yield Case("files", f"{path.name}/{weights.name}", path, entry={"file": weights.name})


def _data_layers(folder: Path, noise: Noise) -> Iterator[Case]:
    for tests in sorted((folder / "files").glob("*/tests.json")):
        for entry in json.loads(tests.read_text()):
            yield Case("files", f"{tests.parent.name}/{entry['name']}", tests.parent, entry=entry)


def _upgrades(folder: Path, noise: Noise) -> Iterator[Case]:
    for path in sorted((folder / "files" / "upgrade").glob("*.upgraded.prototxt")):
        name = path.name.removesuffix(".upgraded.prototxt")
        yield Case("files", f"upgrade/{name}", path.parent, entry={"old": f"{name}.prototxt", "new": path.name})


def _train_log(folder: Path, noise: Noise) -> Iterator[Case]:
    path = folder / "files" / "train_log"
    if path.is_dir():
        yield Case("files", path.name, path)


FINDERS: dict[str, Finder] = {
    **{group: _npz(group) for group in ("layer", "fuzz", "solver", "init", "nets")},
    "reject": _verdicts,
    "snapshots": _snapshots,
    "weights": _weights,
    "data_layers": _data_layers,
    "upgrades": _upgrades,
    "train_log": _train_log,
}


def unknown_folders(folder: Path) -> list[str]:
    """Folders under ``files`` in which no finder finds a case: the layouts of forks have more of them."""
    known = {case.path for finder in FINDERS for case in find(folder, finder)}
    return sorted(f"files/{path.name}" for path in (folder / "files").glob("*/") if path not in known)
