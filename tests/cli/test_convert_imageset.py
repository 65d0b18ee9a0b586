"""convert-imageset with Caffe's ways of writing its flags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffe_compat.api import load_net
from caffe_compat.cli import main
from caffe_compat.data.lmdb_read import Database
from caffe_compat.proto import pb
from caffe_compat.weights import save_caffemodel

GOLDEN = Path(__file__).parents[1] / "golden" / "data" / "files" / "databases"


def datums(path: str) -> list[tuple[bytes, bytes]]:
    base = Database(Path(path))
    found = base.records(0, base.size)
    base.close()
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "img").mkdir()
    random = np.random.default_rng(0)
    for i in range(4):
        Image.fromarray(random.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(f"img/{i}.png")
    Path("list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(4)))


def test_the_data_base_is_caffes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert_imageset", f"{GOLDEN}/", str(GOLDEN / "list.txt"), "raw_db"]) == 0
    assert "processed" in capsys.readouterr().out
    assert datums("raw_db") == datums(str(GOLDEN / "raw_db"))


def test_flags_in_every_form() -> None:
    flags = [
        "-gray",
        "--resize_height=3",
        "-resize_width",
        "4",
        "--shuffle=true",
        "--check_size=false",
        "--backend=lmdb",
    ]
    assert main(["convert-imageset", *flags, "img/", "list.txt", "a_db"]) == 0
    found = [pb.Datum.FromString(value) for _, value in datums("a_db")]
    assert {(datum.channels, datum.height, datum.width) for datum in found} == {(1, 3, 4)}
    assert sorted(datum.label for datum in found) == [0, 1, 2, 3]
    assert main(["convert-imageset", "--encoded", "--encode_type=jpg", "--gray=false", "img", "list.txt", "b_db"]) == 0
    assert all(pb.Datum.FromString(value).data.startswith(b"\xff\xd8") for _, value in datums("b_db"))
    assert main(["convert-imageset", "--gray=1", "-noshuffle", "--nocheck_size", "img/", "list.txt", "c_db"]) == 0
    assert [pb.Datum.FromString(value).channels for _, value in datums("c_db")] == [1] * 4


def test_leveldb_is_written_as_lmdb(capsys: pytest.CaptureFixture[str]) -> None:
    """An old script runs unchanged: Data layers look at what is there, whatever ``backend`` says."""
    assert main(["convert_imageset", "-backend=leveldb", "img/", "list.txt", "a_db"]) == 0
    assert "note: a_db is an LMDB, not a leveldb" in capsys.readouterr().err
    layer = 'layer { name: "d" type: "Data" top: "d" data_param { source: "a_db" batch_size: 4 backend: LEVELDB } }'
    assert tuple(load_net(layer)()["d"].shape) == (4, 3, 6, 5)
    with pytest.raises(SystemExit):
        main(["convert_imageset", "-backend=rocksdb", "img/", "list.txt", "b_db"])
    assert "invalid choice: 'rocksdb'" in capsys.readouterr().err
    assert not Path("b_db").exists()
    Path("net.prototxt").write_text(layer + '\nlayer { name: "fc" type: "InnerProduct" bottom: "d" top: "fc" '
                                    "inner_product_param { num_output: 2 } }")  # fmt: skip
    save_caffemodel(load_net("net.prototxt"), "w.caffemodel")
    assert main(["extract_features", "w.caffemodel", "net.prototxt", "fc", "f_db", "1", "leveldb"]) == 0
    assert "note: f_db is an LMDB, not a leveldb" in capsys.readouterr().err
    assert len(datums("f_db")) == 4


def test_damaged_images(capsys: pytest.CaptureFixture[str]) -> None:
    Path("img/1.png").write_bytes(b"nothing")
    assert main(["convert-imageset", "img/", "list.txt", "a_db"]) == 1
    assert "img/1.png" in capsys.readouterr().err
    assert not Path("a_db").exists()
    assert main(["convert-imageset", "--skip-damaged", "img/", "list.txt", "a_db"]) == 0
    told = capsys.readouterr()
    assert "processed 3 files, left out 1" in told.out
    assert "img/1.png" in told.err
