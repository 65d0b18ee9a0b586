"""Caffe's names of tools lead to our commands; every command tells what it does."""

from __future__ import annotations

import pytest

from caffe_compat.cli import ALIASES, COMMANDS, main

CAFFES = {
    "device_query": "device-query", "compute_image_mean": "compute-image-mean", "extract_features": "extract-features",
    "convert_imageset": "convert-imageset", "convert_imageset.bin": "convert-imageset", "draw_net.py": "draw",
    "parse_log.py": "parse-log", "plot_training_log.py": "plot-log", "summarize.py": "summary",
    "classify.py": "classify",
    "upgrade_net_proto_text": "upgrade", "upgrade_net_proto_binary": "upgrade", "upgrade_solver_proto_text": "upgrade",
}  # fmt: skip


@pytest.mark.parametrize(("caffes", "ours"), CAFFES.items())
def test_caffes_names(caffes: str, ours: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([caffes, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: caffe-compat {ours}")


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main([command, "--help"])
    assert error.value.code == 0
    out = capsys.readouterr().out
    assert out.count("\n") > 8
    assert max(map(len, out.splitlines())) <= 120


def test_aliases_lead_to_commands() -> None:
    assert {command for command, *_ in ALIASES.values()} <= set(COMMANDS)
    assert not set(ALIASES) & set(COMMANDS)
