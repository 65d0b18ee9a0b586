"""Whatever is wrong with a file, the answer is a PrototxtError (or a message), never a traceback."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import pb, read_binary, read_net, upgrade_net

GOLDEN = Path(__file__).parents[1] / "golden" / "data" / "files" / "upgrade"
PIECES = [*"{}<>[]:,;\"'\\-.#\n /ä\0\udcff", "0x", "1e", "e+", "nan", "9" * 30, "\\u", "\\U00110000"]
PIECES += ["layer", "layers", "name", "type", "input", "param"]


@pytest.mark.parametrize("name", ["v0", "v1", "input", "v1.upgraded"])
@pytest.mark.parametrize("seed", range(10))
def test_texts(name: str, seed: int) -> None:
    text = (GOLDEN / f"{name}.prototxt").read_text()
    rng = random.Random(f"{name}{seed}")
    for _ in range(20):
        damaged = text
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(damaged))
            damaged = damaged[:at] + rng.choice([*PIECES, ""]) + damaged[at + rng.randrange(6) :]
        with contextlib.suppress(PrototxtError):
            read_net(damaged + "\n")


@pytest.mark.parametrize("seed", range(20))
def test_binary_files(seed: int) -> None:
    data = bytearray(read_net(GOLDEN / "v1.prototxt").message.SerializeToString())
    rng = random.Random(seed)
    for _ in range(rng.randrange(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    try:
        net = upgrade_net(read_binary(bytes(data[: rng.randrange(1, len(data))]), "NetParameter"))
    except PrototxtError:
        return
    assert isinstance(net, pb.NetParameter)
