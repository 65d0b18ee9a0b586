"""Real files: nets and solvers of many repositories and forks, and Caffe's own verdicts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import parse_text, print_text, read_binary, read_net, read_solver, upgrade_net

# What Caffe refuses, too: no prototxt at all, a template, a value twice, two formats in one file, an enum of a fork.
REFUSED = {
    "BVLC__caffe__prototxt__imagenet_val_channelconstant__17dce0f5": "takes one value and has one already",
    "BVLC__caffe__test_data__module__caaf9cc4": r"5:17: 'num_output' takes an integer \(uint32\), not '\$'",
    "DeepScale__SqueezeNet__solver__51e47a50": "holds only a file's name",
    "DeepScale__SqueezeNet__train_val__55f25b88": "holds only a file's name",
    "chuanqi305__MobileNet-SSD__template__MobileNetSSD_test_template__ddd415d5": "not 'cls3x'",
    "dgschwend__netscope__presets__fcn-16s__cc0e48a8": "both 'layer' (.*) and 'layers'",
    "dgschwend__netscope__presets__vgg-16__01a4b85e": "both 'layer' (.*) and 'layers'",
    "soeaver__caffe-model__resnet18__rfcn_voc_resnet18-priv-merge-ohem__56833be0": "'PRE_FIXED' is no value",
    "soeaver__caffe-model__se-inception-v2__rfcn_voc_se-inception-v2-merge-ohem__7818d220": "'PRE_FIXED' is no value",
    "weiliu89__caffe__VOC0712__labelmap_voc__7c9c7248": "it is something else",
}
# No well-formed text, even for a tolerant reading: a template with ${...}, links that were not kept.
UNREADABLE = ("module__caaf9cc4", "solver__51e47a50", "train_val__55f25b88")
VERDICTS = Path(__file__).parents[1] / "golden" / "data" / "reject" / "verdicts.json"


def test_corpus(shared: Path) -> None:
    with open(shared / "corpus" / "manifest.tsv", encoding="utf-8") as manifest:
        rows = list(csv.DictReader(manifest, delimiter="\t"))
    for row in rows:
        file = shared / "corpus" / row["file"]
        read = read_solver if row["kind"] == "solver" else read_net
        if file.stem in REFUSED:
            with pytest.raises(PrototxtError, match=REFUSED[file.stem]):
                read(file)
            assert row["bvlc_reads"] == "no", file.name
            if not file.stem.endswith(UNREADABLE):
                assert read(file, tolerant=True).faults, file.name
            continue
        document = read(file)
        unknown = [note for note in document.notes if ": unknown " in note or "means nothing" in note]
        assert all(note.startswith(f"{file}:") for note in unknown), file.name
        assert bool(unknown) == (row["bvlc_reads"] == "no"), file.name
        again = parse_text(print_text(document.message), type(document.message).__name__)
        assert again.message == document.message, file.name


def test_binary_models_of_the_corpus(shared: Path) -> None:
    for file in sorted((shared / "corpus" / "models").glob("*/*.caffemodel")):
        net = upgrade_net(read_binary(file, "NetParameter"))
        assert not net.layers, file.name
        assert any(layer.blobs for layer in net.layer), file.name
    assert read_binary(next((shared / "corpus" / "models").glob("*/*.solverstate")), "SolverState").iter > 0


@pytest.mark.parametrize(
    "name", ["unknown_field", "unknown_enum", "syntax_error", "clip_no_max", "solver_type_and_enum"]
)
def test_caffe_refuses_it(name: str) -> None:
    case = next(case for case in json.loads(VERDICTS.read_text()) if case["name"] == name)
    assert not case["accepted"]
    read, text = (read_net, case["prototxt"]) if case["kind"] == "net" else (read_solver, case["solver"])
    with pytest.raises(PrototxtError, match=r"^<text>:\d+:\d+: "):
        read(text, strict=True)


def test_all_other_verdicts_parse() -> None:
    """Caffe accepts these, or refuses them later."""
    refused = {"unknown_field", "unknown_enum", "syntax_error", "clip_no_max", "solver_type_and_enum"}
    for case in json.loads(VERDICTS.read_text()):
        if case["name"] not in refused:
            read_net(case["prototxt" if case["kind"] == "net" else "net"], strict=True)
        if case["name"] not in refused and case["kind"] == "solver":
            read_solver(case["solver"], strict=True)
