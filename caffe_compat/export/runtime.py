"""onnxruntime sessions: on the CPU, or on a GPU where one answers. Needs no torch."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffe_compat.errors import ExportError

if TYPE_CHECKING:
    import onnxruntime

DEVICES = "'cpu', 'cuda', 'cuda:1' (a GPU's number), or 'auto' (a GPU where there is one)"


def open_session(
    model: str | os.PathLike[str] | bytes, device: str = "auto", threads: int | None = None
) -> onnxruntime.InferenceSession:
    """A session for an .onnx file, or for its bytes.

    ``device``: "cpu", "cuda", "cuda:1", or "auto". ``threads``: of one operator on the CPU; by default one per core.
    Raises ExportError where the file is missing, damaged or of a version that onnxruntime does not know, where the
    device does not answer, or where onnxruntime is not installed.
    """
    runtime = _onnxruntime()
    name = "the model" if isinstance(model, bytes) else os.fspath(model)
    if not isinstance(model, bytes):
        _check_file(Path(model))
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = _checked_threads(threads)
    providers = _providers(runtime, device)
    try:
        session = runtime.InferenceSession(model if isinstance(model, bytes) else name, options, providers=providers)
    except Exception as error:  # onnxruntime's own exceptions have no common base but this
        raise ExportError(_unreadable(name, error)) from error
    if device.startswith("cuda") and "CUDAExecutionProvider" not in session.get_providers():  # it only warns of that
        raise ExportError(
            f"device is {device!r}, but onnxruntime {runtime.__version__} cannot load its CUDA part, for the reason "
            "above; install the CUDA and cuDNN that it was built for, with: pip install onnxruntime-gpu[cuda,cudnn]; "
            "or use device 'cpu'"
        )
    return session


@functools.cache
def gpu_count() -> int:
    """The number of GPUs that the CUDA driver answers for; 0 without a driver."""
    names = ["nvcuda.dll"] if sys.platform == "win32" else ["libcuda.so.1", "libcuda.so"]
    for name in names:
        try:
            driver = ctypes.CDLL(name)
            count = ctypes.c_int()
            if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
                return count.value
        except (OSError, AttributeError):
            continue
    return 0


def _providers(runtime: Any, device: str) -> list[Any]:
    """onnxruntime lists CUDA on machines without a GPU too, so the driver is asked first."""
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and (kind != "cuda" or not number.isdecimal())):
        raise ExportError(f"device is {device!r}; accepted: {DEVICES}")
    able = "CUDAExecutionProvider" in runtime.get_available_providers()
    if kind == "cpu" or (kind == "auto" and not (able and gpu_count())):
        return ["CPUExecutionProvider"]
    if not able:
        raise ExportError("this onnxruntime has no CUDA: install onnxruntime-gpu, or use device 'cpu'")
    if int(number or 0) >= gpu_count():
        raise ExportError(f"device is {device!r}, but this machine has {gpu_count()} GPU(s); use device 'cpu'")
    if hasattr(runtime, "preload_dlls"):
        with contextlib.redirect_stdout(sys.stderr):
            runtime.preload_dlls()  # it prints what it does not find
    options = {"device_id": int(number or 0), "use_tf32": 0}  # float32 as on a CPU; by itself it takes TF32
    return [("CUDAExecutionProvider", options), "CPUExecutionProvider"]


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError(
            f"onnxruntime cannot be imported ({error}); install onnxruntime or onnxruntime-gpu"
        ) from error
    return onnxruntime


def _check_file(path: Path) -> None:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ExportError(f"{path} {what}; give an .onnx file, as 'caffe-compat export' writes it")
    if path.stat().st_size == 0:
        raise ExportError(f"{path} is empty; export it again")


def _checked_threads(threads: int) -> int:
    if threads < 1:
        raise ExportError(f"threads is {threads}; accepted: 1 or more, or None for one per core")
    return threads


def _unreadable(name: str, error: Exception) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    return f"{name} is damaged or no ONNX file, or newer than this onnxruntime: export it again (onnxruntime: {text})"
