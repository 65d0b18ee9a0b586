"""Files and folders that are never half-written: a temporary beside them, fsync, rename.

A temporary is called ``.NAME.PID.tmp``. A process that is killed leaves its temporary behind; the next write
of the same NAME removes it, once no process PID lives any more.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from caffe_compat.errors import CaffeCompatError

_REMEDIES = {
    errno.ENOSPC: "the disk is full: free space there, or write to another disk",
    errno.EDQUOT: "your disk quota is used up: free space there, or write to another disk",
    errno.EACCES: "you may not write there: change the folder's permissions, or write to another folder",
    errno.EPERM: "you may not write there: change the folder's permissions, or write to another folder",
    errno.EROFS: "the file system is read-only: write to another folder",
    errno.ENOENT: "the folder does not exist: create it first, or correct the path",
    errno.ENOTDIR: "a part of the path is a file, not a folder: correct the path",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
    errno.EFBIG: "the file is larger than the file system or your limits allow: write to another disk",
}
_active: set[Path] = set()


def write_error(path: str | os.PathLike[str], error: OSError) -> CaffeCompatError:
    """The readable form of an error met while writing ``path``: the path, what happened, the remedy."""
    reason = error.strerror or str(error)
    remedy = _REMEDIES.get(error.errno or 0, "check the disk and the path, then try again")
    return CaffeCompatError(f"cannot write {path}: {reason}; {remedy} (nothing was changed)")


def reason(error: Exception) -> str:
    """An error's text; of one of the system without its number and the path."""
    return getattr(error, "strerror", None) or str(error)


def is_device(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` is a device, which may be read without end. Standard input, and pipes, are none."""
    if os.fspath(path) in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
        return False
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


@contextmanager
def refused_as(kind: type[CaffeCompatError]) -> Iterator[None]:
    """What is refused in the ``with`` block is raised as ``kind``: the error of the room whose file is written."""
    try:
        yield
    except CaffeCompatError as error:
        if type(error) is not CaffeCompatError:
            raise
        raise kind(str(error)) from error


def make_folder(path: str | os.PathLike[str]) -> None:
    """The folder ``path`` and those above it, unless they are there. Raises CaffeCompatError."""
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError as error:
        raise CaffeCompatError(f"{path} is a file, and a folder is to be made there: choose another name") from error
    except OSError as error:
        raise write_error(path, error) from error


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Gives a file to write; at the end of the ``with`` block it becomes ``path``, whole or not at all.

    ``mode``: "wb", "w+b", or "w" (UTF-8 text). On any error the temporary is removed and an old ``path`` stays.
    A symbolic link is followed. Raises CaffeCompatError where the system refuses (disk full, no permission).
    """
    target = _target(path)
    if os.path.exists(target) and not target.is_file():  # Path.exists raises for a name that is too long
        raise CaffeCompatError(f"cannot write {path}: it is a folder or a device; give the name of a file")
    with _temporary(path, target) as temporary:
        encoding = None if "b" in mode else "utf-8"
        with open(temporary, mode.replace("w", "x"), encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync_folder(target.parent)


@contextmanager
def atomic_folder(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """Gives an empty folder to fill; at the end of the ``with`` block it becomes ``path``, whole or not at all.

    The files in it must be synced by their writer. With ``overwrite`` an old ``path`` is replaced once the new
    one is complete; without, it is refused before anything is written.
    """
    target = _target(path)
    if os.path.exists(target) and not overwrite:
        raise CaffeCompatError(
            f"{path} exists already: remove it, choose another name, or overwrite it (--overwrite; in Python "
            "overwrite=True)"
        )
    with _temporary(path, target) as temporary:
        temporary.mkdir()
        yield temporary
        _sync_folder(temporary)
        _replace_folder(temporary, target)
        _sync_folder(target.parent)


@contextmanager
def _temporary(path: str | os.PathLike[str], target: Path) -> Iterator[Path]:
    """The name of the temporary of ``target``; removes it in the end, and names ``path`` in system errors."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    if temporary in _active:
        raise CaffeCompatError(f"{path} is being written by this process already: write it once at a time")
    _active.add(temporary)
    try:
        _remove_leftovers(target)
        yield temporary
    except OSError as error:
        if error.filename is not None and Path(os.fsdecode(error.filename)) not in (temporary, target):
            raise
        raise write_error(path, error) from error
    finally:
        _remove(temporary)
        _active.discard(temporary)


def _target(path: str | os.PathLike[str]) -> Path:
    """What ``path`` stands for, absolute, a link followed."""
    return Path(path).resolve() if os.path.islink(path) else Path(path).absolute()


def _remove_leftovers(target: Path) -> None:
    """Removes the temporaries of ``target`` whose processes are dead."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.(\d+)\.tmp")
    with suppress(OSError):
        for entry in os.scandir(target.parent):
            match = pattern.fullmatch(entry.name)
            if match and not _alive(int(match[1])):
                _remove(Path(entry.path))


def _alive(pid: int) -> bool:
    """Whether another process ``pid`` runs. (Our own temporary from before is a namesake's: its writer is gone.)"""
    if pid == os.getpid():
        return False
    if os.name == "nt":  # there os.kill(pid, 0) would end the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _replace_folder(temporary: Path, target: Path) -> None:
    """Puts ``temporary`` in the place of ``target``; the old one is put aside until the new one stands there."""
    aside = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        os.rename(target, aside)
    try:
        os.rename(temporary, target)
    except OSError:
        if aside.exists():
            os.rename(aside, target)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _sync_folder(folder: Path) -> None:
    """Makes a rename in ``folder`` last; Windows cannot open folders and needs no such call."""
    if os.name == "nt":
        return
    with suppress(OSError):  # some network file systems cannot; the file itself is safe by now
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
