"""Text format: stepping over fields that the schema does not have, whatever they hold."""

from __future__ import annotations

from caffe_compat.proto.reader import Reader
from caffe_compat.proto.tokens import BadStringError, integer, is_name, real, string_bytes

_CLOSERS = {"{": "}", "<": ">"}


def skip_name(reader: Reader) -> str:
    """Step over a field's name (or an extension's: ``[caffe.my_param]``) and return it."""
    name = reader.token
    reader.index += 1
    if name != "[":
        return name
    parts: list[str] = []
    while is_name(reader.token) if len(parts) % 2 == 0 else reader.token in (".", "/"):
        parts.append(reader.token)
        reader.index += 1
    if len(parts) % 2 == 0 or not reader.take("]"):
        raise reader.error(f"expected the name of an extension, as in [caffe.name], found {reader.found()}")
    return "".join(parts)


def skip_value(reader: Reader, name: str, depth: int) -> None:
    """Step over what follows a field's name; ``depth`` is how many messages may still nest."""
    colon = reader.take(":")
    if reader.token in _CLOSERS:
        _skip_message(reader, name, depth)
    elif not colon:
        raise reader.error(f"expected ':' or '{{' after {name!r}, found {reader.found()}")
    elif reader.take("["):
        _skip_list(reader, name, depth)
    else:
        _skip_scalar(reader, name)


def _skip_message(reader: Reader, name: str, depth: int) -> None:
    opened = reader.index
    closer = _CLOSERS[reader.token]
    reader.index += 1
    if depth <= 0:
        raise reader.error("messages are nested too deep")
    while not reader.take(closer):
        if not reader.token:
            raise reader.error(f"the file ends inside {name!r}: '{closer}' is missing for {reader.where(opened)}")
        if not is_name(reader.token) and reader.token != "[":
            raise reader.error(f"expected a field or '{closer}' in {name!r}, found {reader.found()}")
        skip_value(reader, skip_name(reader), depth - 1)
        if reader.token in (";", ","):
            reader.index += 1


def _skip_list(reader: Reader, name: str, depth: int) -> None:
    if reader.take("]"):
        return
    while True:
        if reader.token in _CLOSERS:
            _skip_message(reader, name, depth)
        else:
            _skip_scalar(reader, name)
        if reader.take("]"):
            return
        if not reader.take(","):
            raise reader.error(f"expected ',' or ']' in the list of {name!r}, found {reader.found()}")


def _skip_scalar(reader: Reader, name: str) -> None:
    if not skip_scalar(reader):
        raise reader.error(f"expected a value for {name!r}, found {reader.found()}")


def skip_scalar(reader: Reader) -> bool:
    """Step over a number, a name, or strings in a row; False where none of them is next."""
    if reader.token[:1] in ("'", '"') and reader.token:
        while reader.token[:1] in ("'", '"') and reader.token:
            try:
                string_bytes(reader.token)
            except BadStringError as error:
                raise reader.error(str(error)) from None
            reader.index += 1
        return True
    negative = reader.take("-")
    token = reader.token
    if integer(token) is None and real(token) is None and (negative or not is_name(token)):
        return False
    reader.index += 1
    return True
