"""Code of the user's own, such as layers, which runs only because ``--import`` names it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from caffe_compat.errors import CaffeCompatError


def import_own(names: Iterable[str]) -> None:
    """Import modules by name, or ``.py`` files by path; what they import may lie beside them.

    Raises CaffeCompatError where there is no such module, or its code fails: with the file, the line, and the error.
    """
    for name in names:
        try:
            if name.endswith(".py"):
                _import_file(Path(name).resolve())
            else:
                _search(os.getcwd())
                importlib.import_module(name)
        except Exception as error:
            raise CaffeCompatError(f"--import {name}: {_told(error, name)}") from error


def _import_file(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(path)
    if any(vars(module).get("__file__") == str(path) for module in list(sys.modules.values()) if module is not None):
        return
    _search(str(path.parent))
    name = path.stem if path.stem not in sys.modules else f"{path.stem} of {path.parent}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a .py file has a loader"
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except BaseException:
        del sys.modules[name]
        raise


def _search(folder: str) -> None:
    """Look for modules there, too: last, so that a file there takes no other module's place."""
    if folder not in sys.path:
        sys.path.append(folder)


def _told(error: Exception, name: str) -> str:
    remedy = "give the name of a module that is installed or lies in the working directory, or the path of a .py file"
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        return f"there is no module '{error.name}'; {remedy}"
    if isinstance(error, FileNotFoundError) and str(error).endswith(name.rpartition("/")[2]):
        return f"there is no such file; {remedy}"
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}: {type(error).__name__}: {error}"
