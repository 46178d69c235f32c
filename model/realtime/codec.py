"""Frozen dataclasses to JSON objects and back, with errors that name the field.

The declarations in `client_events` and `server_events` are the only description of the wire; this module turns them
into JSON and reads them back. Fields that a declaration does not know are ignored, because all dialects of the
protocol grow. A required field that is missing, of the wrong type or not Unicode is a `FieldError`. So is an optional
one, unless the reader gives a list of what it leaves out: then such a field is as if it had not been sent (one that
is declared with `metadata={"strict": True}` excepted).

Supported annotations: str, int, float, bool, Literal, tuple[X, ...], dict[str, X], dataclasses and unions of those
with None and `Unset`.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Hashable, Mapping
from enum import Enum
from typing import Any, Final, Literal, TypeVar, cast

T = TypeVar("T")


class Unset(Enum):
    """The type of `UNSET`: a field that was not given, where null means something else."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class FieldError(ValueError):
    """A field that is not what its declaration says. `param` is its path, such as `session.audio.input.format.rate`."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def decode(cls: type[T], data: object, path: str = "", left_out: list[str] | None = None) -> T:
    """Builds a `cls` (a dataclass) from a JSON object; raises `FieldError`.

    `left_out`: takes the paths of optional fields that cannot be read; without it they are errors like any other.
    """
    if not isinstance(data, dict):
        raise FieldError(path, f"{path or 'the message'}: expected an object, got {_kind(data)}.")
    values: dict[str, Any] = {}
    hints = _hints(cast(Hashable, cls))
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # T is a dataclass by contract
        if not field.init:
            continue
        param = f"{path}.{field.name}" if path else field.name
        is_optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if field.name in data:
            try:
                values[field.name] = _value(hints[field.name], data[field.name], param, left_out)
            except FieldError:
                if left_out is None or not is_optional or field.metadata.get("strict", False):
                    raise
                left_out.append(param)
        elif not is_optional:
            raise FieldError(param, f"Missing required field '{param}'.")
    return cls(**values)


def _value(hint: Any, value: object, path: str, left_out: list[str] | None) -> Any:
    if hint is Any:
        return value
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(typing.get_args(hint), value, path, left_out)
    if origin is Literal:
        allowed = typing.get_args(hint)
        if not any(type(value) is type(choice) and value == choice for choice in allowed):
            raise FieldError(path, f"{path}: expected one of {', '.join(map(repr, allowed))}, got {_kind(value)}.")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise FieldError(path, f"{path}: expected an array, got {_kind(value)}.")
        element = typing.get_args(hint)[0]
        return tuple(_value(element, part, f"{path}[{index}]", left_out) for index, part in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise FieldError(path, f"{path}: expected an object, got {_kind(value)}.")
        element = typing.get_args(hint)[1]
        return {key: _value(element, part, f"{path}.{key}", left_out) for key, part in value.items()}
    if dataclasses.is_dataclass(hint):
        return decode(cast(type, hint), value, path, left_out)
    return _scalar(hint, value, path)


def _scalar(hint: Any, value: object, path: str) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(value, path)
    if hint is str and isinstance(value, str):
        return _unicode(value, path)
    if type(value) is hint:
        return value
    raise FieldError(path, f"{path}: expected {_names(hint)}, got {_kind(value)}.")


def _finite(value: int | float, path: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise FieldError(path, f"{path}: the number is too large.") from None


def _unicode(value: str, path: str) -> str:
    """JSON can spell half a surrogate pair, which no tokenizer and no UTF-8 stream accepts."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise FieldError(path, f"{path}: the text is not valid Unicode (a lone surrogate).") from None
    return value


def _union(choices: tuple[Any, ...], value: object, path: str, left_out: list[str] | None) -> Any:
    if value is None and types.NoneType in choices:
        return None
    real = [choice for choice in choices if choice is not types.NoneType and choice is not Unset]
    if len(real) == 1:
        return _value(real[0], value, path, left_out)
    for choice in real:
        try:
            return _value(choice, value, path, left_out)
        except FieldError:
            continue
    expected = " or ".join(_names(choice) for choice in real)
    raise FieldError(path, f"{path}: expected {expected}, got {_kind(value)}.")


def encode(value: Any) -> Any:
    """JSON-ready form of a declaration; fields that are `UNSET` or None are left out.

    A field declared with `metadata={"keep_none": True}` is written as null when it is None; instead of True there may
    be a function of the declaration that says so. A field is left out where its `metadata={"omit": function}` says so.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        result: dict[str, Any] = {}
        type_name = getattr(value, "TYPE", None)
        if type_name is not None:
            result["type"] = type_name
        for field in dataclasses.fields(value):
            part = getattr(value, field.name)
            if (
                part is UNSET
                or field.metadata.get("omit", _never)(value)
                or (part is None and not _keeps(field, value))
            ):
                continue
            result[field.name] = encode(part)
        return result
    if isinstance(value, tuple | list):
        return [encode(part) for part in value]
    if isinstance(value, Mapping):
        return {key: encode(part) for key, part in value.items()}
    return value


def _never(owner: object) -> bool:
    return False


def _keeps(field: dataclasses.Field[Any], owner: object) -> bool:
    keeps = field.metadata.get("keep_none", False)
    return bool(keeps(owner)) if callable(keeps) else bool(keeps)


def _names(hint: Any) -> str:
    if dataclasses.is_dataclass(hint):
        return "an object"
    plain = {str: "a string", int: "an integer", float: "a number", bool: "a boolean"}
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    return plain.get(hint, str(hint))


def _kind(value: object) -> str:
    """What was given, shortly enough for a message."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value:.6g}" if isinstance(value, float) or abs(value) < 10**15 else "a huge number"
    if value is None:
        return "null"
    return "an array" if isinstance(value, list) else "an object"
