"""Server events of the `openai` package, whole, with fields left out, null and of another shape, and mutated at random.

`python -m tests.app.engine.mutated 100000` puts that many mutated events through every dialect, the reader and the
translator, and prints how many were not taken.
"""

from __future__ import annotations

import random
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel

from app.dialects.registry import DIALECTS
from app.engine.reading import read_event
from app.engine.target import Target
from app.translator import Translator

Json = dict[str, Any]

FUTURE: tuple[Any, ...] = (None, "future", 7, -1.5, True, [], ["future"], {}, {"future": {"deep": [1]}}, 10**400)
"""Shapes that a later version of the protocol may give any field."""


def event_classes() -> list[type[BaseModel]]:
    """Every server event that the package knows."""
    (union, *_) = typing.get_args(RealtimeServerEvent)
    return [cls for cls in typing.get_args(union) if isinstance(cls, type) and issubclass(cls, BaseModel)]


def sample(hint: Any, depth: int = 0) -> Any:
    """A value of this type, with every field of it present."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return sample(args[0], depth)
    if origin in (typing.Union, types.UnionType):
        return sample(next(arg for arg in args if arg is not type(None)), depth)
    if origin is Literal:
        return args[0]
    if origin in (list, tuple):
        return [sample(args[0], depth + 1)] if args and depth < 6 else []
    if origin is dict:
        return {"key": sample(args[1], depth + 1)} if depth < 6 else {}
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return whole(hint, depth + 1) if depth < 6 else {}
    return {str: "text", int: 3, float: 0.5, bool: True}.get(hint, "anything")


def whole(cls: type[BaseModel], depth: int = 0) -> Json:
    return {name: sample(field.annotation, depth) for name, field in cls.model_fields.items()}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        yield from places(part, (*path, key))


def changed(value: Any, path: tuple[Any, ...], to: Any, *, remove: bool = False) -> Any:
    """A copy with another value at this place, or without it."""
    if not path:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and remove:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(copy[path[0]], path[1:], to, remove=remove)
    return copy


def variations() -> Iterator[Json]:
    """Each event whole; then with each of its fields, however deep, absent, null and of a future shape."""
    for cls in event_classes():
        event = whole(cls)
        yield event
        for path in places(event):
            if path == ("type",):
                continue
            yield changed(event, path, None, remove=True)
            for shape in FUTURE:
                yield changed(event, path, shape)


def mutations(n: int, seed: int) -> Iterator[Json]:
    """Events with one to five places changed, removed or doubled at random; the type stays a text."""
    draw = random.Random(seed)
    samples = [whole(cls) for cls in event_classes()]
    for _ in range(n):
        event = draw.choice(samples)
        for _ in range(draw.randint(1, 5)):
            there = [path for path in places(event) if path != ("type",)]
            if not there:
                break
            path = draw.choice(there)
            other = draw.choice(samples)
            shapes = (*FUTURE, other, draw.choice(list(other.values())), "x" * draw.randint(0, 50), draw.random())
            event = changed(event, path, draw.choice(shapes), remove=draw.random() < 0.2)
        if draw.random() < 0.05:
            event = {**event, "type": draw.choice(samples)["type"]}
        yield event


class Client:
    """What a connection does with an event, in every dialect."""

    def __init__(self) -> None:
        target = Target("wss://peer.example/v1/realtime", kind="auto")
        self._dialects = [(dialect(target), Translator()) for dialect in DIALECTS.values()]

    def hear(self, event: Json) -> None:
        """Raises whatever our code raises."""
        for dialect, translator in self._dialects:
            for heard in (*dialect.hear(event), *dialect.take_made()):
                translator.translate(read_event(heard), 0.0)
            dialect.take_later()
            dialect.take_notes()


if __name__ == "__main__":
    count, failed, client = int(sys.argv[1]), 0, Client()
    for mutated in mutations(count, seed=2026):
        try:
            client.hear(mutated)
        except Exception as error:  # noqa: BLE001  # the count of everything that is not taken is what is wanted
            failed += 1
            print(repr(error), str(mutated)[:300])
    print(f"{count} mutated events through {len(DIALECTS)} dialects: {failed} not taken")
