"""The registry of tools: what is offered to the engine, and carrying out what it calls. May be used from any thread."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from app.events import WHEN_TAKEN, Event, PermissionWanted, ToolFinished
from app.tools.base import Arguments, Result, Room, Tool, ToolError
from app.tools.mcp_servers import McpServers, McpTool

log = logging.getLogger(__name__)

MAX_OUTPUT_CHARS = 8_000
"""Of one result. A longer one is cut, and says so."""
WORKERS = 4
PERMISSION_S = 60.0
"""How long a question waits for its answer; then the answer is no."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool in the settings: whether it is on, and where it comes from."""

    name: str
    title: str
    description: str
    on: bool
    server: str = ""
    """Of an MCP server; "" for Sightline's own."""


class Toolbox:
    """`room` is what the tools see. `run` answers by posting `ToolFinished`, once for each call."""

    def __init__(
        self,
        tools: Iterable[Tool],
        room: Room,
        is_on: Callable[[str], bool] = lambda name: True,
        servers: McpServers | None = None,
        server_lines: Callable[[], tuple[str, ...]] = tuple,
        ends: Iterable[Callable[[], None]] = (),
    ) -> None:
        """`is_on`: whether a tool of this name may be offered and run. `server_lines`: the settings' MCP servers.

        `ends` are called when it is stopped.
        """
        self._own = tuple(tools)
        self._room = room
        self._is_on = is_on
        self._servers = servers
        self._server_lines = server_lines
        self._ends = tuple(ends)
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="tool")
        self._lock = threading.Lock()
        self._questions: dict[str, tuple[threading.Event, list[bool]]] = {}

    def offer(self) -> tuple[dict[str, Any], ...]:
        """As GA writes them."""
        return tuple(tool.spec.offer() for name, tool in self._tools().items() if self._is_on(name))

    def offered(self) -> tuple[Offered, ...]:
        """For the settings."""
        return tuple(
            Offered(
                name,
                tool.spec.title,
                tool.spec.description,
                self._is_on(name),
                tool.server if isinstance(tool, McpTool) else "",
            )
            for name, tool in self._tools().items()
        )

    def _tools(self) -> dict[str, Tool]:
        foreign = self._servers.tools() if self._servers is not None else ()
        return {tool.spec.name: tool for tool in (*foreign, *self._own)}

    def refresh(self) -> None:
        """The settings have changed, or are to be used for the first time."""
        if self._servers is not None:
            self._servers.use(self._server_lines())

    def problems(self) -> dict[str, str]:
        """Of MCP servers that do not work: why."""
        return self._servers.problems() if self._servers is not None else {}

    def title(self, name: str) -> str:
        tool = self._tools().get(name)
        return tool.spec.title if tool is not None else name

    def run(self, post: Callable[[Event], None], call_id: str, name: str, arguments: str) -> None:
        """Returns at once."""
        try:
            self._workers.submit(self._carry_out, post, call_id, name, arguments)
        except RuntimeError:  # the app is ending
            log.debug("a tool was called while the app ends: %s", name)

    def answer(self, call_id: str, yes: bool) -> None:
        """The user's answer to `PermissionWanted`."""
        with self._lock:
            waiting = self._questions.pop(call_id, None)
        if waiting is not None:
            waiting[1].append(yes)
            waiting[0].set()

    def stop(self) -> None:
        """No more calls are begun, and no question waits."""
        with self._lock:
            waiting, self._questions = list(self._questions.values()), {}
        for asked, _ in waiting:
            asked.set()
        self._workers.shutdown(wait=False, cancel_futures=True)
        for end in self._ends:
            end()
        if self._servers is not None:
            self._servers.stop()

    # --- on a worker's thread ---

    def _carry_out(self, post: Callable[[Event], None], call_id: str, name: str, arguments: str) -> None:
        title = self.title(name)
        try:
            result = self._result(post, call_id, name, arguments)
        except ToolError as error:
            result = Result(f"Error: {error}", f"failed: {error}")
        except Exception as error:  # whatever a tool raises, the engine waits for an answer
            log.exception("the tool %s failed", name)
            result = Result(f"Error: the tool failed ({type(error).__name__}).", f"failed ({type(error).__name__})")
        output = result.output
        if len(output) > MAX_OUTPUT_CHARS:
            result = replace(result, output=f"{output[:MAX_OUTPUT_CHARS]}\n(cut: it had {len(output)} characters)")
        shown = f"{title}: {result.shown or result.output}"
        post(ToolFinished(WHEN_TAKEN, call_id, result.output, shown, result.picture))

    def _result(self, post: Callable[[Event], None], call_id: str, name: str, arguments: str) -> Result:
        tool = self._tools().get(name)
        if tool is None or not self._is_on(name):
            raise ToolError(f"there is no tool {name!r}.")
        given = read_arguments(arguments)
        question = tool.question(given)
        if question and not self._is_allowed(post, call_id, question):
            return Result("The user did not allow it.", "not allowed")
        return tool.run(given, self._room)

    def _is_allowed(self, post: Callable[[Event], None], call_id: str, question: str) -> bool:
        asked, said = threading.Event(), list[bool]()
        with self._lock:
            self._questions[call_id] = (asked, said)
        post(PermissionWanted(WHEN_TAKEN, call_id, question))
        asked.wait(PERMISSION_S)
        with self._lock:
            self._questions.pop(call_id, None)
        return said == [True]


def read_arguments(arguments: str) -> Arguments:
    """Raises ToolError for what is no JSON object."""
    try:
        given = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        raise ToolError("the arguments are not JSON.") from None
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ToolError("the arguments are no JSON object.")
    return given
