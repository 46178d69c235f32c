"""Tools in the published chat template: how they are offered, how a call is written, how its result is given back.

Pure text, shared by the runtime and by training; the layout is the template's to the letter:

- offered at the end of the system turn (`with_tools`), one JSON object a line;
- called as `<tool_call>\\n{"name": ..., "arguments": {...}}\\n</tool_call>`, several calls one after the other;
- answered in a user's turn as `<tool_response>\\n...\\n</tool_response>`, several results with a line break between.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CALL_START, CALL_END = "<tool_call>", "</tool_call>"
RESULT_START, RESULT_END = "<tool_response>", "</tool_response>"

_HEAD = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
_TAIL = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    '<tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n'
    "</tool_call>"
)


def function(name: str, description: str | None, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """One tool as the template shows it. `parameters`: a JSON schema."""
    inner: dict[str, Any] = {"name": name}
    if description is not None:
        inner["description"] = description
    inner["parameters"] = dict(parameters) if parameters else {"type": "object", "properties": {}}
    return {"type": "function", "function": inner}


def with_tools(instructions: str, tools: Sequence[Mapping[str, Any]]) -> str:
    """The text of the system turn that offers these tools."""
    if not tools:
        return instructions
    lines = "".join(f"\n{json.dumps(tool, ensure_ascii=False)}" for tool in tools)
    return (f"{instructions}\n\n" if instructions else "") + _HEAD + lines + _TAIL


def call_text(name: str, arguments: str) -> str:
    """A call as the model writes it; `arguments`: JSON text."""
    return f'{CALL_START}\n{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": {arguments}}}\n{CALL_END}'


def call_opening(name: str | None) -> str:
    """How a call begins, of any function or of a named one: what a forced call starts with."""
    if name is None:
        return f'{CALL_START}\n{{"name": "'
    return f'{CALL_START}\n{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": '


def result_text(output: str) -> str:
    """A call's result as the model reads it."""
    return f"{RESULT_START}\n{output}\n{RESULT_END}"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the model has written. `arguments`: JSON text of an object."""

    name: str
    arguments: str


def read_call(text: str) -> Call | None:
    """The call in what was written between the marks; None when it is none."""
    try:
        written = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(written, dict) or not isinstance(written.get("name"), str) or not written["name"]:
        return None
    arguments = written.get("arguments", {})
    if isinstance(arguments, str):  # some models quote the object
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError):
            return None
    if not isinstance(arguments, dict):
        return None
    return Call(written["name"], json.dumps(arguments, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Prose:
    """Text outside of calls."""

    text: str


class CallFinder:
    """Parts a reply's text into prose and calls while it streams. Owned by one thread.

    `push` gives what is certain: a beginning of the mark is held back until it is one or is not. What stands between
    the marks and is no call is prose, marks and all. White space around calls is dropped.
    """

    def __init__(self) -> None:
        self._text = ""  # not given out yet
        self._in_call = False
        self._after_call = False

    @property
    def holds_back(self) -> bool:
        """Some text is not given out yet."""
        return bool(self._text) or self._in_call

    @property
    def in_call(self) -> bool:
        """A call's opening mark has been read, its end has not."""
        return self._in_call

    def push(self, text: str) -> list[Prose | Call]:
        """What is certain after more text."""
        self._text += text
        found: list[Prose | Call] = []
        while self._step(found):
            pass
        return found

    def finish(self) -> list[Prose | Call]:
        """What is left at the end of the reply."""
        rest, self._text = self._text, ""
        if self._in_call:
            self._in_call = False
            call = read_call(rest)  # the end of the reply may stand for the closing mark
            return [call] if call is not None else [Prose(CALL_START + rest)]
        if self._after_call:
            rest = rest.lstrip()
        return [Prose(rest)] if rest else []

    def _step(self, found: list[Prose | Call]) -> bool:
        """Gives out one piece; False: nothing more is certain."""
        if self._in_call:
            inside, end, rest = self._text.partition(CALL_END)
            if not end:
                return False
            call = read_call(inside)
            found.append(call if call is not None else Prose(CALL_START + inside + CALL_END))
            self._text, self._in_call, self._after_call = rest, False, True
            return True
        before, start, rest = self._text.partition(CALL_START)
        if not start:
            certain = len(self._text) - _n_begun(self._text, CALL_START)
            before, rest = self._text[:certain], self._text[certain:]
            # White space may stand before a call, where nobody wants to read it.
            space = len(before) - len(before.rstrip())
            before, rest = before[: len(before) - space], before[len(before) - space :] + rest
        self._give(before.rstrip() if start else before, found)
        self._text, self._in_call = rest, bool(start)
        return bool(start)

    def _give(self, text: str, found: list[Prose | Call]) -> None:
        if self._after_call:
            text = text.lstrip()
        if text:
            self._after_call = False
            found.append(Prose(text))


def prose_of(text: str) -> str:
    """A whole reply's text without its calls."""
    finder = CallFinder()
    parts = [*finder.push(text), *finder.finish()]
    return "".join(part.text for part in parts if isinstance(part, Prose))


def _n_begun(text: str, mark: str) -> int:
    """How many of the last letters could be the beginning of `mark`."""
    return next((n for n in range(min(len(mark) - 1, len(text)), 0, -1) if text.endswith(mark[:n])), 0)
