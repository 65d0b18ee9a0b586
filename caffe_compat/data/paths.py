"""Where a file name in a prototxt points to."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from caffe_compat.errors import DataError


def resolve_path(name: str, base_dir: Path, what: str) -> Path:
    """The file or folder ``name``: from the working directory, else from ``base_dir`` (the prototxt's folder).

    Raises DataError, naming ``what`` is missing, the places tried and near names, if it is in neither.
    """
    if not name:
        raise DataError(f"{what} has no name: write its path into the prototxt")
    tried = list(dict.fromkeys([Path(name).expanduser().absolute(), (base_dir / name).absolute()]))
    for path in tried:
        if path.exists():
            return path
    places = " nor ".join(str(path) for path in tried)
    raise DataError(
        f'{what} "{name}" is not there: neither {places} exists{_near(tried)}; correct the path, '
        "or run from the folder that it is relative to"
        if len(tried) > 1
        else f'{what} "{name}" is not there{_near(tried)}; correct the path'
    )


def is_there(name: str, base_dir: Path) -> bool:
    """Whether `resolve_path` finds ``name``."""
    return Path(name).expanduser().exists() or (base_dir / name).exists()


def _near(tried: list[Path]) -> str:
    names = [entry.name for path in tried if path.parent.is_dir() for entry in path.parent.iterdir()]
    near = difflib.get_close_matches(tried[0].name, sorted(set(names)), n=3)
    return f" (near names there: {', '.join(near)})" if near else ""


def image_prefixes(root_folder: str, base_dir: Path) -> list[str]:
    """What may stand before the names in a list of images; see `image_prefix`.

    Caffe writes ``root_folder`` right before a name. A missing "/" between the two is added where it helps.
    """
    root = os.path.expanduser(root_folder)
    roots = [root] if root.endswith("/") or not root else [root, f"{root}/"]
    return list(dict.fromkeys([*roots, *(os.path.join(base_dir, root) for root in roots)]))


def image_prefix(prefixes: list[str], name: str) -> str:
    """The first one with which ``name`` is a file: from the working directory, else from the prototxt's folder."""
    return next((prefix for prefix in prefixes if os.path.isfile(prefix + name)), prefixes[0])
