"""caffe.proto says what Caffe's schema says: every message, field, number, label, type, default, packing and enum."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.proto import pb, schema
from caffe_compat.proto.fields import Field

OURS = {"SMSoftmaxParameter", "ResumeState", "SourcePosition", "RankState", "LayerMemory"}
OUR_FIELDS = {"smsoftmax_param", "warmup_iter", "warmup_start_lr", "resume"} | {"global_grad_scale"}  # NVIDIA Caffe's
# Of the rows below, sorted; made once from descriptors that equalled the tables row by row.
DIGEST = "e348549b6f1930fc94a67deb33d7dd62f0840ba369209c27aed85cbab74f8189"


def messages() -> Iterator[Any]:
    file = schema.pool().FindFileByName(schema.FILE)
    yield from (message for name, message in file.message_types_by_name.items() if name not in OURS)


def all_enums() -> Iterator[Any]:
    yield from schema.pool().FindFileByName(schema.FILE).enum_types_by_name.values()
    for message in messages():
        yield from message.enum_types


def default(field: Field) -> str:
    descriptor = field.descriptor
    if field.repeated or not descriptor.has_default_value:
        return ""
    if field.kind == "enum":
        return str(descriptor.enum_type.values_by_number[descriptor.default_value].name)
    if field.kind == "bool":
        return str(descriptor.default_value).lower()
    return f"{descriptor.default_value:.6g}" if field.kind == "float" else str(descriptor.default_value)


def field_rows() -> list[tuple[str, ...]]:
    rows = []
    for message in messages():
        for descriptor in message.fields:
            if descriptor.name in OUR_FIELDS:
                continue
            field = Field(descriptor)
            label = "repeated" if field.repeated else "required" if field.required else "optional"
            packed = "packed" if descriptor.GetOptions().packed else ""
            rows.append(
                (message.name, field.name, str(descriptor.number), label, field.type_name, default(field), packed)
            )
    return sorted(rows)


def enum_rows() -> list[tuple[str, ...]]:
    return sorted(
        (enum.full_name.removeprefix("caffe."), " ".join(f"{value.name}={value.number}" for value in enum.values))
        for enum in all_enums()
    )


def test_fields_equal_the_tables(shared: Path) -> None:
    with open(shared / "schema" / "caffe_fields.tsv", encoding="utf-8") as file:
        table = sorted(tuple(row.values()) for row in csv.DictReader(file, delimiter="\t"))
    assert field_rows() == table


def test_enums_equal_the_tables(shared: Path) -> None:
    with open(shared / "schema" / "caffe_enums.tsv", encoding="utf-8") as file:
        table = sorted(tuple(row.values()) for row in csv.DictReader(file, delimiter="\t"))
    assert enum_rows() == table


def test_digest() -> None:
    text = "\n".join("\t".join(row) for row in field_rows() + enum_rows())
    assert hashlib.sha256(text.encode()).hexdigest() == DIGEST


def test_our_own_fields() -> None:
    assert pb.LayerParameter.DESCRIPTOR.fields_by_name["smsoftmax_param"].number == 20170917
    assert pb.SMSoftmaxParameter().margin == 0
    solver = pb.SolverParameter.DESCRIPTOR.fields_by_name
    assert (solver["warmup_iter"].number, solver["warmup_start_lr"].number) == (20170918, 20170919)
    state = pb.SolverState(iter=3)
    state.resume.source.add(net="train", layer="data", batches=7)
    state.resume.recent_loss.extend([0.5, 0.25])
    assert pb.SolverState.FromString(state.SerializeToString()) == state


def test_enum_names_and_values() -> None:
    assert pb.enum_name("Phase", 0) == "TRAIN"
    assert pb.enum_value("Phase", "TEST") == 1
    assert pb.enum_value("LossParameter.NormalizationMode", "BATCH_SIZE") == 2
    with pytest.raises(KeyError):
        pb.enum_value("Phase", "DEPLOY")


def test_an_unknown_message_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchParameter"):
        _ = pb.NoSuchParameter


def test_loading_is_fast() -> None:
    text = Path(schema.__file__).with_name("caffe.proto").read_text("utf-8")
    seconds = []
    for _ in range(6):  # the fastest, in time of the processor: others use the machine, too
        start = time.process_time()
        schema.parse_schema(text).SerializeToString()
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.03, seconds


def test_importing_the_package_does_not_import_protobuf() -> None:
    code = "import sys, caffe_compat.proto; sys.exit(any(name.startswith('google') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_lives_beside_another_caffe_pb2() -> None:
    """pycaffe's classes, or a fork's, are in protobuf's default pool under the same names."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    other = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    other.message_type.add(name="NetParameter").field.add(
        name="name", number=1, type=descriptor_pb2.FieldDescriptorProto.TYPE_INT32, label=1
    )
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(other.SerializeToString())
    theirs = schema.class_of(pool.FindMessageTypeByName("caffe.NetParameter"))
    assert theirs(name=3).name == 3
    assert pb.NetParameter(name="ours").name == "ours"


def test_messages_are_pickled_whoever_used_their_class_first() -> None:
    """Nets are copied and pickled with their messages; protobuf names a class after the module that asks for it."""
    code = (
        "import pickle; from caffe_compat.proto import parse_text; "
        "net = parse_text('layer { name: \"x\" }', 'NetParameter').message; "
        "assert pickle.loads(pickle.dumps(net.layer[0])) == net.layer[0]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert pb.LayerParameter.__module__ == "caffe_compat.proto.pb"
