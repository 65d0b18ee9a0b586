"""Which layers belong to a net: include and exclude rules against phase, level and stages."""

from __future__ import annotations

import pytest

from caffe_compat import load_net
from caffe_compat.errors import NetError
from tests.net.making import build, layer, names, source

CASES = [
    # rules, phase, level, stages, kept
    ("", "TEST", 0, (), True),
    ("include { phase: TRAIN }", "TRAIN", 0, (), True),
    ("include { phase: TRAIN }", "TEST", 0, (), False),
    ("exclude { phase: TRAIN }", "TRAIN", 0, (), False),
    ("exclude { phase: TRAIN }", "TEST", 0, (), True),
    ("include { phase: TRAIN } include { phase: TEST }", "TEST", 0, (), True),
    ("exclude { phase: TRAIN } exclude { phase: TEST }", "TEST", 0, (), False),
    ("include { min_level: 2 }", "TEST", 1, (), False),
    ("include { min_level: 2 }", "TEST", 2, (), True),
    ("include { max_level: 2 }", "TEST", 3, (), False),
    ("include { min_level: 1 max_level: 2 }", "TEST", 2, (), True),
    ("include { min_level: -1 max_level: 0 }", "TEST", -1, (), True),
    ("exclude { min_level: 2 }", "TEST", 2, (), False),
    ('include { stage: "a" }', "TEST", 0, (), False),
    ('include { stage: "a" }', "TEST", 0, ("a", "b"), True),
    ('include { stage: "a" stage: "b" }', "TEST", 0, ("a",), False),
    ('include { stage: "a" } include { stage: "b" }', "TEST", 0, ("b",), True),
    ('include { not_stage: "a" }', "TEST", 0, ("a",), False),
    ('include { not_stage: "a" not_stage: "b" }', "TEST", 0, ("b",), False),
    ('include { stage: "a" not_stage: "b" }', "TEST", 0, ("a",), True),
    ('exclude { stage: "a" not_stage: "b" }', "TEST", 0, ("a", "b"), True),
    ('include { phase: TRAIN stage: "a" }', "TEST", 0, ("a",), False),
    ("include { }", "TEST", 0, (), True),
    ("exclude { }", "TEST", 0, (), False),
]


@pytest.mark.parametrize(("rules", "phase", "level", "stages", "kept"), CASES)
def test_rules(rules: str, phase: str, level: int, stages: tuple[str, ...], kept: bool) -> None:
    net = build(source(), layer("x", "ReLU", "data", "x", rules), phase=phase, level=level, stages=stages)
    assert names(net) == ["data", "x"][: 1 + kept]


def test_the_stages_of_the_file_count_too() -> None:
    net = build('state { stage: "a" }', source(), layer("x", "ReLU", "data", "x", 'include { stage: "a" stage: "b" }'),
                stages=("b",))  # fmt: skip
    assert names(net) == ["data", "x"]


def test_include_and_exclude_exclude_each_other() -> None:
    rules = "include { phase: TEST } exclude { phase: TRAIN }"
    with pytest.raises(NetError, match=r"layer 'x' \(ReLU\), <text>:3:1: has include and exclude rules; accepted"):
        build(source(), layer("x", "ReLU", "data", "x", rules))


def test_an_unknown_phase() -> None:
    with pytest.raises(NetError, match="phase 'train' is not known; accepted: TRAIN, TEST"):
        build(source(), phase="train")


def test_a_layer_with_a_phase_of_its_own_keeps_it() -> None:
    net = build(source(), layer("x", "Dropout", "data", "x", "phase: TEST"), layer("y", "Dropout", "data", "y"))
    assert [net.layer(name).training for name in "xy"] == [False, False]
    net.train()
    assert [net.layer(name).training for name in "xy"] == [False, True]


def test_stages_in_one_string() -> None:
    text = 'layer { name: "x" type: "Input" top: "x" include { stage: "a" stage: "b" } }'
    for stages in ("a,b", "a, b", ["a", "b"], ("b", "a")):
        assert load_net(text, stages=stages).inputs == ["x"]
    assert load_net(text, stages="a").inputs == []


def test_a_level_is_a_number() -> None:
    with pytest.raises(NetError, match="level '2' is a str; accepted: a whole number"):
        load_net('layer { name: "x" type: "Input" top: "x" }', level="2")  # type: ignore[arg-type]
