"""Reading what an engine says, whatever it is: nothing that a peer sends may end the connection.

The declarations of `model.realtime.server_events` say what is looked for. A field that is missing, null or of another
shape gets its declared default, or, where it has none, the emptiest value of its type; the rest of the event counts.
The engine's own reader of client events stays strict (`model.realtime.codec`): a client is told about its mistakes, a
server is taken as it is.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Any, Literal, TypeVar, cast

from model.realtime.codec import UNSET, Unset
from model.realtime.server_events import SERVER_EVENTS, ServerEvent, UnknownServerEvent

T = TypeVar("T")
Json = dict[str, Any]

_BY_TYPE: dict[str, type[Any]] = {event.TYPE: event for event in SERVER_EVENTS}
_NOTHING = object()
"""Not of the declared type: the default has to do."""


def read_object(message: str | bytes) -> Json:
    """The JSON object of a message; raises ValueError with the reason when there is none."""
    try:
        data = json.loads(message)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(data, dict):
        raise ValueError("it is no JSON object")
    if not isinstance(data.get("type"), str):
        raise ValueError("it has no type")
    return data


def read_event(data: Json) -> ServerEvent:
    """One server event, in GA's names; never raises for an object with a `type` text."""
    cls = _BY_TYPE.get(data["type"])
    if cls is None:
        return UnknownServerEvent(data["type"], data)
    return cast(ServerEvent, _read(cls, data))


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _read(cls: type[T], data: Mapping[str, Any]) -> T:
    values: dict[str, Any] = {}
    hints = _hints(cast(Hashable, cls))
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # a dataclass by contract
        value = _value(hints[field.name], data[field.name]) if field.name in data else _NOTHING
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if value is _NOTHING and has_default:
            continue
        values[field.name] = _emptiest(hints[field.name]) if value is _NOTHING else value
    return cls(**values)


def _value(hint: Any, value: Any) -> Any:
    """The value in the declared type, as far as it can be had; `_NOTHING` when it cannot."""
    if hint is Any:
        return value
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(typing.get_args(hint), value)
    if origin is Literal:
        return value if value in typing.get_args(hint) and not isinstance(value, list | dict) else _NOTHING
    if origin is tuple:
        if not isinstance(value, list):
            return _NOTHING
        parts = (_value(typing.get_args(hint)[0], part) for part in value)
        return tuple(part for part in parts if part is not _NOTHING)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            return _NOTHING
        element = typing.get_args(hint)[1]
        read = {key: _value(element, part) for key, part in value.items()}
        return {key: part for key, part in read.items() if part is not _NOTHING}
    if dataclasses.is_dataclass(hint):
        if isinstance(value, str):  # an error that is told as a text
            value = {"message": value}
        return _read(cast(type, hint), value) if isinstance(value, dict) else _NOTHING
    return _scalar(hint, value)


def _union(choices: tuple[Any, ...], value: Any) -> Any:
    if value is None:
        return None if types.NoneType in choices else _NOTHING
    for choice in choices:
        if choice is types.NoneType or choice is Unset:
            continue
        read = _value(choice, value)
        if read is not _NOTHING:
            return read
    return _NOTHING


def _scalar(hint: Any, value: Any) -> Any:
    if hint is str:
        return _text(value)
    if isinstance(value, bool):
        return value if hint is bool else _NOTHING
    if hint in (int, float) and isinstance(value, int | float):
        try:
            return hint(value)  # a whole number written as 3.0, and the other way round
        except (OverflowError, ValueError):  # infinite, no number, or longer than a float can be
            return _NOTHING
    return _NOTHING


def _text(value: Any) -> Any:
    """JSON can spell half a character, which no UTF-8 stream takes."""
    if not isinstance(value, str):
        return _NOTHING
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _emptiest(hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        choices = typing.get_args(hint)
        if types.NoneType in choices:
            return None
        return UNSET if Unset in choices else _emptiest(choices[0])
    if origin is Literal:
        return typing.get_args(hint)[0]
    if origin is tuple:
        return ()
    if origin is not None and issubclass(origin, Mapping):
        return {}
    if dataclasses.is_dataclass(hint):
        return _read(cast(type, hint), {})
    return None if hint is Any else hint()
