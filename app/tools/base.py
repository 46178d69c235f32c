"""What a tool is. Tools run on the toolbox's worker threads and see the app through a `Room` only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

Arguments = Mapping[str, Any]


class ToolError(Exception):
    """It could not be done; the message is for the engine, which tells the user."""


@dataclass(frozen=True, slots=True)
class Result:
    """`output`: for the engine. `shown`: for the transcript, "" for the output itself."""

    output: str
    shown: str = ""
    picture: bool = False
    """A fresh picture goes to the engine with it."""


@dataclass(frozen=True, slots=True)
class Spec:
    """How a tool is offered. `parameters`: a JSON schema of an object. `title`: for people."""

    name: str
    title: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})

    def offer(self) -> dict[str, Any]:
        """As GA's function tools are written."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
        }


class Room(Protocol):
    """What a tool sees and may do. May be called from any thread."""

    def now(self) -> datetime:
        """The local time, with its zone."""
        ...

    def volume(self) -> float:
        """0 to 1."""
        ...

    def set_volume(self, volume: float) -> None: ...

    def last_answer(self) -> str:
        """The last answer's text, as far as it was heard; "" before the first."""
        ...

    def has_picture(self) -> bool: ...

    def later(self, delay_s: float, text: str) -> Callable[[], None]:
        """Announces the text after the delay, with a sound; returns what calls that off."""
        ...


class Tool(Protocol):
    """`question` is asked before it runs; "": it may run without being asked for."""

    @property
    def spec(self) -> Spec: ...

    def question(self, arguments: Arguments) -> str:
        """Raises ToolError for arguments that cannot be used."""
        ...

    def run(self, arguments: Arguments, room: Room) -> Result:
        """Raises ToolError."""
        ...


@dataclass(frozen=True, slots=True)
class Simple:
    """A tool that is one function and never asks."""

    spec: Spec
    do: Callable[[Arguments, Room], Result]

    def question(self, arguments: Arguments) -> str:
        return ""

    def run(self, arguments: Arguments, room: Room) -> Result:
        return self.do(arguments, room)


def parameters(required: tuple[str, ...] = (), **properties: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema of an object."""
    return {"type": "object", "properties": {name: dict(kind) for name, kind in properties.items()},
            "required": list(required)}  # fmt: skip


def text(arguments: Arguments, name: str, default: str = "") -> str:
    value = arguments.get(name, default)
    if not isinstance(value, str):
        raise ToolError(f"{name} has to be a text.")
    return value.strip()


def number(arguments: Arguments, name: str) -> float | None:
    """A number, also one that is written as a text, as some models do; None when it is not given."""
    value = arguments.get(name)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ToolError(f"{name} has to be a number.") from None
