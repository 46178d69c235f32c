"""What is measured in the picture, without a model: text, codes, colour, light. Facts, not opinions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.tools.base import Result, Simple, Spec, Tool, ToolError


class Sights(Protocol):
    """Looks at the present picture; each gives a sentence or more, and raises ValueError when it cannot tell.

    Called on a tool's thread; may take seconds.
    """

    def read_text(self) -> str: ...
    def codes(self) -> str: ...
    def colour(self) -> str: ...
    def light(self) -> str: ...


def sight_tools(sights: Sights) -> tuple[Tool, ...]:
    return (
        _tool(
            "read_text", "Text", "The text in the picture, read letter by letter. Say it as it is.", sights.read_text
        ),
        _tool("find_codes", "Codes", "Bar codes and QR codes in the picture, and what they say.", sights.codes),
        _tool("get_colour", "Colour", "The colour of what is in the middle of the picture.", sights.colour),
        _tool("get_light", "Light", "How bright it is.", sights.light),
    )


def _tool(name: str, title: str, description: str, look: Callable[[], str]) -> Tool:
    def run(_arguments: object, _room: object) -> Result:
        try:
            return Result(look())
        except ValueError as error:
            raise ToolError(str(error)) from None

    return Simple(Spec(name, title, description), run)
