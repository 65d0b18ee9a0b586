"""Text format, middle floor: one scalar value from the tokens, checked against its field's type."""

from __future__ import annotations

from caffe_compat.proto.fields import Field, accepted
from caffe_compat.proto.reader import Reader
from caffe_compat.proto.tokens import BadStringError, integer, is_name, real, string_bytes

_RANGES = {
    "int32": (-(1 << 31), (1 << 31) - 1),
    "uint32": (0, (1 << 32) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
    "uint64": (0, (1 << 64) - 1),
}
_BOOLS = {"true": True, "True": True, "t": True, "1": True, "false": False, "False": False, "f": False, "0": False}


def read_integer(reader: Reader, field: Field) -> int:
    """Decimal, hexadecimal or octal, within the type's range."""
    start = reader.index
    negative = reader.take("-")
    token = reader.token
    value = integer(token)
    if value is None:
        number = real(token)
        whole = f"; write {int(number)}" if number is not None and number.is_integer() else ""
        raise reader.error(f"{field.name!r} takes an integer ({field.kind}), not {reader.found()}{whole}")
    value = -value if negative else value
    low, high = _RANGES[field.kind]
    if not low <= value <= high:
        raise reader.error(f"{value} is out of range for {field.name!r} ({field.kind}: {low} to {high})", start)
    reader.index += 1
    return value


def read_real(reader: Reader, field: Field) -> float:
    """A decimal number, inf or nan."""
    negative = reader.take("-")
    value = real(reader.token)
    if value is None:
        decimal = integer(reader.token)
        hint = "" if decimal is None else f"; hexadecimal and octal do not serve here, write {decimal}"
        raise reader.error(f"{field.name!r} takes a number ({field.kind}), not {reader.found()}{hint}")
    reader.index += 1
    return -value if negative else value


def read_bool(reader: Reader, field: Field) -> bool:
    """true, True, t, 1, false, False, f, 0 (and 0x1, 00, as Caffe reads any integer 0 or 1)."""
    value = _BOOLS.get(reader.token)
    if value is None:
        number = integer(reader.token)
        if number not in (0, 1):
            raise reader.error(f"{field.name!r} takes true or false, not {reader.found()}")
        value = bool(number)
    reader.index += 1
    return value


def read_enum(reader: Reader, field: Field) -> int | None:
    """An enum's name or number. None for a name that only forks know, where the schema's forks added names."""
    start = reader.index
    negative = reader.take("-")
    token = reader.token
    number = integer(token)
    if not negative and token in field.enum:
        number = field.enum[token]
    elif field.open_enum and not negative and is_name(token):
        reader.index += 1
        return None
    elif number is None or negative or number not in field.enum.values():
        quotes = "; write it without quotes" if token[1:-1] in field.enum else ""
        choice = accepted(token.strip("\"'"), field.enum)
        raise reader.error(
            f"{reader.found()} is no value of {field.name!r} ({field.type_name}; {choice}){quotes}", start
        )
    reader.index += 1
    return number


def read_bytes(reader: Reader, field: Field) -> bytes:
    """A string, or several in a row, which count as one."""
    parts = []
    while reader.token[:1] in ("'", '"') and reader.token:
        try:
            parts.append(string_bytes(reader.token))
        except BadStringError as error:
            raise reader.error(str(error)) from None
        reader.index += 1
    if not parts:
        quotes = f'; put it in quotes: "{reader.token}"' if is_name(reader.token) else ""
        raise reader.error(f"{field.name!r} takes a string, not {reader.found()}{quotes}")
    return b"".join(parts)


def read_string(reader: Reader, field: Field) -> str:
    """Text in UTF-8. Bytes of another encoding are kept one character each (Latin-1), with a note."""
    start = reader.index
    raw = read_bytes(reader, field)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        reader.note(f"the string of {field.name!r} is not UTF-8: read as Latin-1", start)
        return raw.decode("latin-1")


READERS = {
    "int32": read_integer,
    "uint32": read_integer,
    "int64": read_integer,
    "uint64": read_integer,
    "float": read_real,
    "double": read_real,
    "bool": read_bool,
    "enum": read_enum,
    "string": read_string,
    "bytes": read_bytes,
}
