"""Text format: what Caffe refuses is refused with file:line:column, what was found, what is accepted."""

from __future__ import annotations

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import parse_text

DECIMAL = "hexadecimal and octal do not serve here, write"
UNQUOTED = "write it without quotes"
POOLS = "known: MAX, AVE, STOCHASTIC"
CASES = [
    # Syntax
    ("NetParameter", "name", "1:5: expected ':' and a value (string) after 'name', found the end of the file"),
    ("NetParameter", "name:", "1:6: 'name' takes a string, not the end of the file"),
    ("NetParameter", 'name "a"', "1:6: expected ':' and a value (string) after 'name', found \"a\""),
    ("NetParameter", "layer {\n", "2:1: the file ends inside LayerParameter: '}' is missing for 1:7"),
    ("NetParameter", "layer {\n  >", "2:3: expected a field of LayerParameter or '}', found '>'"),
    ("NetParameter", "layer {} }", "1:10: expected a field of NetParameter, found '}'"),
    ("NetParameter", "layer 3", "1:7: expected '{' after 'layer' (LayerParameter), found '3'"),
    ("NetParameter", ": 3", "1:1: expected a field of NetParameter, found ':'"),
    ("NetParameter", 'name: "a";;', "1:11: expected a field of NetParameter, found ';'"),
    ("NetParameter", "// no comment", "1:1: expected a field of NetParameter, found '/'"),
    ("BlobShape", "dim: [1, 2,]", "1:12: 'dim' takes an integer (int64), not ']'"),
    ("BlobShape", "dim: [1 2]", "1:9: expected ',' or ']' in the list of 'dim', found '2'"),
    ("BlobShape", "dim: [1", "1:8: expected ',' or ']' in the list of 'dim', found the end of the file"),
    ("BlobShape", "dim [1]", "1:5: expected ':' and a value (int64) after 'dim', found '['"),
    # Repetition
    ("NetParameter", 'name: "a"\nname: "b"',
     "2:1: 'name' of NetParameter takes one value and has one already (1:1); remove one"),
    ("LayerParameter", "relu_param {} relu_param {}",
     "1:15: 'relu_param' of LayerParameter takes one value and has one already (1:1); remove one"),
    ("PoolingParameter", "kernel_size: [3]", "1:14: 'kernel_size' takes an integer (uint32), not '['"),
    ("LayerParameter", "relu_param [{}]",
     "1:12: expected '{' after 'relu_param' (ReLUParameter), found '['; it is not repeated, so it takes no list"),
    # Integers
    ("PoolingParameter", "pad: -1", "1:6: -1 is out of range for 'pad' (uint32: 0 to 4294967295)"),
    ("PoolingParameter", "pad: 4294967296", "1:6: 4294967296 is out of range for 'pad' (uint32: 0 to 4294967295)"),
    ("SolverParameter", "display: 2147483648",
     "1:10: 2147483648 is out of range for 'display' (int32: -2147483648 to 2147483647)"),
    ("SolverParameter", "max_iter: 1e5", "1:11: 'max_iter' takes an integer (int32), not '1e5'; write 100000"),
    ("SolverParameter", "max_iter: 2.0", "1:11: 'max_iter' takes an integer (int32), not '2.0'; write 2"),
    ("SolverParameter", "max_iter: 2.5", "1:11: 'max_iter' takes an integer (int32), not '2.5'"),
    ("SolverParameter", "max_iter: 09", "1:11: 'max_iter' takes an integer (int32), not '09'; write 9"),
    ("SolverParameter", "max_iter: 3display: 2", "1:11: 'max_iter' takes an integer (int32), not '3display'"),
    ("SolverParameter", 'max_iter: "3"', "1:11: 'max_iter' takes an integer (int32), not \"3\""),
    ("SolverParameter", "max_iter: +3", "1:11: 'max_iter' takes an integer (int32), not '+'"),
    ("SolverParameter", f"max_iter: {'9' * 5000}", f"1:11: 'max_iter' takes an integer (int32), not '{'9' * 60}'"),
    # Numbers
    ("FillerParameter", "std: abc", "1:6: 'std' takes a number (float), not 'abc'"),
    ("FillerParameter", "std: 1.2.3", "1:6: 'std' takes a number (float), not '1.2.3'"),
    ("FillerParameter", "std: 1e", "1:6: 'std' takes a number (float), not '1e'"),
    ("FillerParameter", "std: 0x10", f"1:6: 'std' takes a number (float), not '0x10'; {DECIMAL} 16"),
    ("FillerParameter", "std: 010", f"1:6: 'std' takes a number (float), not '010'; {DECIMAL} 8"),
    # Bools, enums
    ("NetParameter", "debug_info: yes", "1:13: 'debug_info' takes true or false, not 'yes'"),
    ("NetParameter", "debug_info: 2", "1:13: 'debug_info' takes true or false, not '2'"),
    ("NetParameter", "debug_info: TRUE", "1:13: 'debug_info' takes true or false, not 'TRUE'"),
    ("PoolingParameter", "pool: MEDIAN",
     f"1:7: 'MEDIAN' is no value of 'pool' (PoolingParameter.PoolMethod; {POOLS})"),
    ("PoolingParameter", "pool: AVG",
     f"1:7: 'AVG' is no value of 'pool' (PoolingParameter.PoolMethod; did you mean 'AVE'? {POOLS})"),
    ("PoolingParameter", 'pool: "MAX"',
     f"1:7: \"MAX\" is no value of 'pool' (PoolingParameter.PoolMethod; did you mean 'MAX'? {POOLS}); {UNQUOTED}"),
    ("PoolingParameter", "pool: 7",
     f"1:7: '7' is no value of 'pool' (PoolingParameter.PoolMethod; {POOLS})"),
    # Strings
    ("NetParameter", "name: conv1", "1:7: 'name' takes a string, not 'conv1'; put it in quotes: \"conv1\""),
    ("NetParameter", "name: 3", "1:7: 'name' takes a string, not '3'"),
    ("NetParameter", 'name: "abc\nlayer {}', '1:7: the string is not closed on its line: "abc'),
    ("NetParameter", 'name: "C:\\\\data\\"', '1:7: the string is not closed on its line: "C:\\\\data\\"'),
    ("NetParameter", 'name: "C:\\data"', "1:7: unknown escape \\d in a string; for a backslash write two"),
    ("NetParameter", 'name: "\\xzz"', "1:7: unknown escape \\x in a string; for a backslash write two"),
    # Required fields
    ("LayerParameter", "clip_param { min: 0 }", "1:12: ClipParameter needs 'max'"),
    ("LayerParameter", "clip_param {}", "1:12: ClipParameter needs 'min' and 'max'"),
    # Depth
    ("NetParameter", "layer { a " + "{ b " * 200, "1:409: messages are nested too deep"),
    # Unknown fields are stepped over, but must be well formed
    ("NetParameter", 'name: "a" foo', "1:14: expected ':' or '{' after 'foo', found the end of the file"),
    ("NetParameter", 'name: "a" foo: }', "1:16: expected a value for 'foo', found '}'"),
    ("NetParameter", 'name: "a" foo { a: 1', "1:21: the file ends inside 'foo': '}' is missing for 1:15"),
    ("NetParameter", 'name: "a" foo { 3 }', "1:17: expected a field or '}' in 'foo', found '3'"),
    ("NetParameter", 'name: "a" foo: [1 2]', "1:19: expected ',' or ']' in the list of 'foo', found '2'"),
    ("NetParameter", 'name: "a" [a b] {}', "1:14: expected the name of an extension, as in [caffe.name], found 'b'"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "text", "expected"), CASES, ids=[f"{m}-{t[:24]}" for m, t, _ in CASES])
def test_refused(message: str, text: str, expected: str) -> None:
    with pytest.raises(PrototxtError) as caught:
        parse_text(text, message, source="f")
    assert str(caught.value).replace("f:1:", "1:").replace("f:2:", "2:") == expected


def test_columns_count_characters() -> None:
    with pytest.raises(PrototxtError, match=r"^net.prototxt:3:13: "):
        parse_text('\ufeff# ä\r\n\r\n\tname: "ää" 3', "NetParameter", source="net.prototxt")


UNKNOWN = """name: "n"
layer {
  name: "bn"
  batch_norm_param { epss: 1 }
  permute_param { order: 0 order: [1, 2] inner < deep { x: "a" 'b' y: -inf z: TAG } > }
  [caffe.fork_param] { size: 3; }
  bn_mode: [ "a", 'b' ],
}
"""


def test_unknown_fields_are_notes() -> None:
    document = parse_text(UNKNOWN, "NetParameter", source="net.prototxt")
    batch_norm = "known: use_global_stats, moving_average_fraction, eps"
    assert document.notes[0] == (
        f"net.prototxt:4:22: unknown field 'epss' in BatchNormParameter (did you mean 'eps'? {batch_norm}): ignored"
    )
    assert [note.split(" (")[0] for note in document.notes[1:]] == [
        "net.prototxt:5:3: unknown field 'permute_param' in LayerParameter",
        "net.prototxt:6:3: unknown field 'caffe.fork_param' in LayerParameter",
        "net.prototxt:7:3: unknown field 'bn_mode' in LayerParameter",
    ]
    assert document.message.layer[0].name == "bn"


def test_strict_lists_all_unknown_fields() -> None:
    with pytest.raises(PrototxtError) as caught:
        parse_text(UNKNOWN, "NetParameter", strict=True)
    assert len(str(caught.value).splitlines()) == 4
    assert "ignored" not in str(caught.value)


def test_a_text_without_any_known_field_is_something_else() -> None:
    with pytest.raises(
        PrototxtError, match=r"unknown field 'item'(?s:.)*and 1 more fields; no field of a NetParameter"
    ):
        parse_text('item { name: "a" }\nitem { name: "b" }', "NetParameter")


def test_an_unknown_v1_type_is_a_note() -> None:
    document = parse_text("layers { type: NORMALIZE }", "NetParameter")
    assert document.notes[0].startswith("<text>:1:16: unknown type 'NORMALIZE' (V1LayerParameter.LayerType; ")
    assert document.notes[0].endswith("): kept as the layer's type")
    with pytest.raises(PrototxtError, match="unknown type 'NORMALIZE'"):
        parse_text("layers { type: NORMALIZE }", "NetParameter", strict=True)
