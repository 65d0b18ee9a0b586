"""Opening files in onnxruntime."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from caffe_compat import ExportError, load_net
from caffe_compat.export import lower_net, runtime
from caffe_compat.export.runtime import gpu_count, open_session
from tests.export.nets import DEPLOY


@pytest.fixture(scope="module")
def model():
    return lower_net(load_net(DEPLOY)).SerializeToString()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), (b"", "is empty"), (b"no onnx at all", r"export it again \(onnxruntime: [^\[]*$")],
)
def test_unreadable_files(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ExportError, match=message):
        open_session(tmp_path / "x.onnx", "cpu")


def test_a_folder(tmp_path):
    with pytest.raises(ExportError, match="is a folder"):
        open_session(tmp_path)


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
def test_cut_off_files(model, tmp_path, part):
    (tmp_path / "x.onnx").write_bytes(model[: int(len(model) * part)])
    with pytest.raises(ExportError, match="is damaged or no ONNX file"):
        open_session(tmp_path / "x.onnx", "cpu")


def test_devices(model, monkeypatch):
    assert open_session(model, "cpu", threads=1).get_providers() == ["CPUExecutionProvider"]
    for device in ("tpu", "cuda:x", "cpu:1"):
        with pytest.raises(ExportError, match="accepted: 'cpu', 'cuda'"):
            open_session(model, device)
    with pytest.raises(ExportError, match="threads is 0"):
        open_session(model, "cpu", threads=0)
    monkeypatch.setattr(runtime, "gpu_count", lambda: 0)
    assert open_session(model, "auto").get_providers() == ["CPUExecutionProvider"]
    with pytest.raises(ExportError, match=r"0 GPU|has no CUDA"):
        open_session(model, "cuda")


def test_a_gpu_that_onnxruntime_cannot_use_is_told(model, monkeypatch, capfd):
    """It lists CUDA, and runs on the CPU where its libraries are not there."""
    monkeypatch.setattr(runtime, "gpu_count", lambda: 1)
    original = runtime._onnxruntime().InferenceSession

    def fall_back(content, options, providers):
        return original(content, options, providers=["CPUExecutionProvider"])

    fake = SimpleNamespace(
        SessionOptions=runtime._onnxruntime().SessionOptions, InferenceSession=fall_back, __version__="9.9",
        get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
        preload_dlls=lambda: print("Failed to load libcublas"),
    )  # fmt: skip
    monkeypatch.setattr(runtime, "_onnxruntime", lambda: fake)
    with pytest.raises(ExportError, match=r"onnxruntime 9.9 cannot load its CUDA part.*onnxruntime-gpu\[cuda,cudnn\]"):
        open_session(model, "cuda")
    assert capfd.readouterr().out == ""
    assert open_session(model, "auto").get_providers() == ["CPUExecutionProvider"]


@pytest.mark.gpu
def test_gpu(model):
    assert gpu_count() > 0
    assert open_session(model, "auto").get_providers()[0] == "CUDAExecutionProvider"


def test_no_messages_without_a_gpu(model, capfd):
    """onnxruntime-gpu would print errors when asked for CUDA on a machine without a driver."""
    open_session(model, "auto")
    assert capfd.readouterr() == ("", "")
