"""draw: boxes, ranks, places, and the files."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from caffe_compat.cli import main
from caffe_compat.errors import CaffeCompatError
from caffe_compat.proto import read_net
from caffe_compat.tools.draw import draw_net
from caffe_compat.tools.draw.boxes import Link, detail, make_boxes
from caffe_compat.tools.draw.compose import Composer
from caffe_compat.tools.draw.places import place_across
from caffe_compat.tools.draw.ranks import rank_boxes

NET = """
name: "two ways <&>"
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { crop_size: 12 force_gray: true }
  data_param { source: "not there" batch_size: 4 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "a" type: "Pooling" bottom: "conv" top: "a" pooling_param { pool: AVE kernel_h: 2 kernel_w: 3 } }
layer { name: "b" type: "Pooling" bottom: "conv" top: "b" pooling_param { pool: MAX kernel_h: 2 kernel_w: 3 } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" eltwise_param { operation: MAX } }
layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" include { phase: TRAIN } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" include { phase: TEST } }
"""


def words(path: Path) -> list[str]:
    return [node.text or "" for node in ElementTree.parse(path).iter() if node.tag.endswith("text")]


def test_in_place_layers_stand_in_the_box_of_their_blob() -> None:
    layers = read_net(NET).message.layer
    boxes, links = make_boxes(layers)
    assert [band.name for band in boxes[1].bands] == ["conv", "relu"]
    by_blob = {link.blob: link for link in links}
    assert [boxes[target].bands[0].name for target in by_blob["conv"].targets] == ["a", "b"]
    assert [boxes[target].bands[0].name for target in by_blob["label"].targets] == ["loss", "accuracy"]


def test_in_place_on_one_of_several_tops_or_with_a_second_bottom_is_a_box_of_its_own() -> None:
    text = """
    layer { name: "cut" type: "Slice" bottom: "x" top: "p" top: "q" }
    layer { name: "relu" type: "ReLU" bottom: "p" top: "p" }
    layer { name: "scale" type: "Scale" bottom: "q" bottom: "p" top: "q" }
    """
    boxes, links = make_boxes(read_net(text).message.layer)
    assert [box.bands[0].name for box in boxes] == ["cut", "relu", "scale"]
    assert [(link.source, link.blob, link.targets) for link in links] == [
        (0, "p", [1]), (0, "q", [2]), (1, "p", [2]), (2, "q", []),
    ]  # fmt: skip


def test_details_are_short() -> None:
    details = {layer.name: detail(layer) for layer in read_net(NET).message.layer}
    assert details["conv"] == "2 3x3 /2 +1"
    assert details["a"] == "AVE 2 x 3"
    assert details["sum"] == "MAX"
    assert details["relu"] == ""


def test_links_lead_down_through_every_rank_and_share_their_points() -> None:
    links = [Link(0, "x", None, [1, 3, 4]), Link(1, "y", None, [2]), Link(2, "z", None, [3]), Link(3, "w", None, [4])]
    ranked = rank_boxes(5, links)
    assert ranked.rank[:5] == [0, 1, 2, 3, 4]
    assert len(ranked.rank) == 5 + 3, "one chain of points for both readers further down"
    assert all(ranked.rank[lower] == ranked.rank[upper] + 1 for upper, lower, _ in ranked.edges)
    assert sorted(node for row in ranked.rows for node in row) == list(range(8))


def test_crossings_that_can_go_are_gone() -> None:
    links = [Link(0, "a", None, [3]), Link(1, "b", None, [2]), Link(4, "c", None, [2, 3])]
    ranked = rank_boxes(5, [Link(link.source, link.blob, None, link.targets) for link in links[:2]])
    upper, lower = ranked.rows
    assert [{0: 3, 1: 2}[node] for node in upper if node in (0, 1)] == [node for node in lower if node in (2, 3)]


def test_boxes_do_not_lie_upon_each_other_and_chains_are_straight() -> None:
    links = [Link(0, "a", None, [1, 2, 3]), *(Link(i, str(i), None, [4]) for i in (1, 2, 3)), Link(4, "e", None, [5])]
    ranked = rank_boxes(6, links)
    sizes = [10.0, 30.0, 40.0, 50.0, 20.0, 60.0]
    places = place_across(ranked, sizes, 5.0, [0.0] * len(links))
    for row in ranked.rows:
        for left, right in pairwise(row):
            assert places[right] - places[left] >= (sizes[left] + sizes[right]) / 2 + 5 - 1e-6
    assert places[4] == pytest.approx(places[5])
    assert min(place - size / 2 for place, size in zip(places, sizes, strict=True)) == pytest.approx(0)


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_everything_lies_inside_the_picture(rankdir: str) -> None:
    boxes, links = make_boxes(read_net(NET).message.layer)
    scene = Composer(boxes, links, rankdir == "LR", "t").compose()
    for box in scene.rectangles:
        assert 0 <= box.x <= box.x + box.width <= scene.width
        assert 0 <= box.y <= box.y + box.height <= scene.height
    for curve in scene.curves:
        assert all(0 <= x <= scene.width and 0 <= y <= scene.height for x, y in curve.points)


def test_svg_without_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    assert main(["draw_net.py", "net.prototxt", "--phase", "train", "--rankdir", "lr"]) == 0
    assert capsys.readouterr().out == "net.svg\n"
    found = words(Path("net.svg"))
    assert "data  4x1x12x12" in found
    assert "label  4" in found
    assert "relu  ReLU" in found
    assert "loss" in found
    assert "accuracy" not in found
    assert main(["draw", "net.prototxt", "net.svg", "--input-shape", "data:2,3,12,12"]) == 0
    assert "data  2x3x12x12" in words(Path("net.svg"))


def test_png(tmp_path: Path) -> None:
    assert draw_net(read_net(NET), tmp_path / "net.png") == []
    with Image.open(tmp_path / "net.png") as picture:
        assert picture.height > picture.width > 200
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20


def test_a_net_that_cannot_be_built_is_drawn_without_shapes(tmp_path: Path) -> None:
    notes = draw_net(read_net(NET.replace('"Eltwise"', '"Strange"')), tmp_path / "net.svg")
    assert "drawn without shapes" in notes[0]
    assert "unknown layer type 'Strange'" in notes[0]
    assert "Strange MAX" in words(tmp_path / "net.svg")


def test_an_empty_net_and_a_wrong_format(tmp_path: Path) -> None:
    draw_net(read_net('name: "empty"'), tmp_path / "net.svg")
    assert words(tmp_path / "net.svg") == []
    with pytest.raises(CaffeCompatError, match=r"net\.pdf: the name's end says the format; accepted: \.svg, \.png"):
        draw_net(read_net(NET), tmp_path / "net.pdf")


def test_all_phases(tmp_path: Path) -> None:
    """As Caffe's draw_net.py does: two data layers of one top both lead to what reads it."""
    data = NET[NET.index('layer { name: "data"') : NET.index('layer { name: "conv"')]
    train = data.replace('top: "label"', 'top: "label" include { phase: TRAIN }')
    test = data.replace('"data" type', '"test data" type').replace(
        'top: "label"', 'top: "label" include { phase: TEST }'
    )
    document = read_net(NET.replace(data, train + test))
    boxes, links = make_boxes(list(document.message.layer))
    assert [(boxes[link.source].bands[0].name, link.targets) for link in links if link.blob == "data"] == [
        ("data", [2]),
        ("test data", [2]),
    ]
    assert draw_net(document, tmp_path / "all.svg", phase="ALL") == []
    assert {"data", "test data", "loss", "accuracy"} <= set(words(tmp_path / "all.svg"))
    assert any("12" in word for word in words(tmp_path / "all.svg"))
