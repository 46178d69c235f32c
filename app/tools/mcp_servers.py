"""MCP servers that the user has added: their tools become Sightline's, each off until it is allowed.

One thread talks to all of them. A server that cannot be reached or ends is tried again when the settings change; what
went wrong is kept for the settings to show.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import shlex
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.tools.base import Arguments, Result, Room, Spec, Tool, ToolError

if TYPE_CHECKING:
    from mcp import Client

log = logging.getLogger(__name__)

CONNECT_S = 30.0
CALL_S = 60.0
MAX_TOOLS = 64
"""Of one server; more are left out."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,24}")


@dataclass(frozen=True, slots=True)
class ServerEntry:
    """One line of the settings. `where`: an address (http, https), or the words of a command."""

    name: str
    where: str | tuple[str, ...]


def read_entry(line: str) -> ServerEntry:
    """From "name = https://..." or "name = command argument ..."; raises ValueError with a message for people."""
    name, equals, where = (part.strip() for part in line.partition("="))
    if not equals or not where or not _NAME.fullmatch(name):
        raise ValueError(
            f"{line[:80]!r} is no MCP server; expected “name = command …” or “name = https://…”, the name in letters, "
            "digits, - and _."
        )
    if where.startswith(("http://", "https://")):
        return ServerEntry(name, where)
    try:
        words = tuple(shlex.split(where, posix=sys.platform != "win32"))
    except ValueError as error:
        raise ValueError(f"The command of the MCP server {name} cannot be read: {error}.") from None
    return ServerEntry(name, words)


@dataclass(frozen=True, slots=True)
class McpTool:
    """A server's tool. Its name for the engine has the server's before it, so that two servers cannot be mixed up."""

    servers: McpServers
    server: str
    name: str
    title: str
    description: str
    schema: Mapping[str, Any]

    @property
    def spec(self) -> Spec:
        return Spec(tool_name(self.server, self.name), f"{self.title} ({self.server})", self.description, self.schema)

    def question(self, arguments: Arguments) -> str:
        return ""  # it was allowed in the settings

    def run(self, arguments: Arguments, room: Room) -> Result:
        return self.servers.call(self.server, self.name, dict(arguments))


def tool_name(server: str, tool: str) -> str:
    """As engines take names: at most 64 letters, digits, - and _."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}__{tool}")[:64]


class McpServers:
    """`on_change` is called on this object's thread whenever the tools are others than before."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._tools: dict[str, tuple[McpTool, ...]] = {}
        self._problems: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        # From here on: the thread's own.
        self._running: dict[ServerEntry, asyncio.Task[None]] = {}
        self._clients: dict[str, Client] = {}
        self._over: asyncio.Event | None = None

    def tools(self) -> tuple[Tool, ...]:
        with self._lock:
            return tuple(tool for tools in self._tools.values() for tool in tools)

    def problems(self) -> dict[str, str]:
        """Of servers that do not work: why."""
        with self._lock:
            return dict(self._problems)

    def use(self, lines: tuple[str, ...]) -> None:
        """The servers of the settings; those that are no longer there are ended. Returns at once."""
        entries = []
        for line in lines:
            if line.strip():
                with contextlib.suppress(ValueError):  # refused where it was entered
                    entries.append(read_entry(line))
        if self._thread is None:
            if not entries:
                return
            started = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(started,), name="mcp servers", daemon=True)
            self._thread.start()
            started.wait()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._change, tuple(entries))

    def call(self, server: str, tool: str, arguments: dict[str, Any]) -> Result:
        """Waits for the result. Raises ToolError."""
        if self._loop is None:
            raise ToolError(f"the MCP server {server} does not run.")
        calling: Future[Result] = asyncio.run_coroutine_threadsafe(self._call(server, tool, arguments), self._loop)
        try:
            return calling.result(CALL_S)
        except FutureTimeout:
            calling.cancel()
            raise ToolError(f"the MCP server {server} did not answer within {CALL_S:.0f} s.") from None

    def stop(self, timeout_s: float = 3.0) -> None:
        """Ends every server; may be called twice."""
        thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            return
        with contextlib.suppress(RuntimeError):  # it has ended
            loop.call_soon_threadsafe(self._end)
        thread.join(timeout_s)

    # --- on the thread ---

    def _run(self, started: threading.Event) -> None:
        async def live() -> None:
            self._loop = asyncio.get_running_loop()
            over = self._over = asyncio.Event()
            started.set()
            await over.wait()
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

        asyncio.run(live())

    def _end(self) -> None:
        assert self._over is not None
        self._over.set()

    def _change(self, entries: tuple[ServerEntry, ...]) -> None:
        for entry in [entry for entry in self._running if entry not in entries]:
            self._running.pop(entry).cancel()
        for entry in entries:
            task = self._running.get(entry)
            if task is None or task.done():
                self._running[entry] = asyncio.ensure_future(self._serve(entry))

    async def _serve(self, entry: ServerEntry) -> None:
        """One server, from its start to its end."""
        from mcp import Client
        from mcp.client.stdio import StdioServerParameters

        where = entry.where
        target = where if isinstance(where, str) else StdioServerParameters(command=where[0], args=list(where[1:]))
        try:
            async with asyncio.timeout(CONNECT_S) as limit, Client(target) as client:
                listed = await client.list_tools()
                limit.reschedule(None)
                self._clients[entry.name] = client
                self._know(entry.name, tuple(self._tool(entry.name, tool) for tool in listed.tools[:MAX_TOOLS]), "")
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self._know(entry.name, (), "")
            raise
        except Exception as error:  # noqa: BLE001  # whatever a foreign server does is its problem, told in the settings
            log.warning("the MCP server %s: %r", entry.name, error)
            self._know(entry.name, (), _why(error))
        finally:
            self._clients.pop(entry.name, None)

    def _tool(self, server: str, tool: Any) -> McpTool:
        schema = tool.input_schema if isinstance(tool.input_schema, dict) else {"type": "object", "properties": {}}
        return McpTool(self, server, tool.name, tool.title or tool.name, (tool.description or "")[:1000], schema)

    def _know(self, server: str, tools: tuple[McpTool, ...], problem: str) -> None:
        with self._lock:
            before = self._tools.pop(server, ())
            if tools:
                self._tools[server] = tools
            self._problems.pop(server, None)
            if problem:
                self._problems[server] = problem
        if before != tools or problem:
            self._on_change()

    async def _call(self, server: str, tool: str, arguments: dict[str, Any]) -> Result:
        client = self._clients.get(server)
        if client is None:
            raise ToolError(f"the MCP server {server} does not run.")
        try:
            answer = await client.call_tool(tool, arguments)
        except Exception as error:  # noqa: BLE001  # as above
            raise ToolError(_why(error)) from None
        texts = [part.text for part in answer.content if part.type == "text"]
        said = "\n".join(texts) or "Done; it gave no text."
        if answer.is_error:
            raise ToolError(said)
        return Result(said)


def _why(error: BaseException) -> str:
    """The innermost reason, in a line."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return f"it did not answer within {CONNECT_S:.0f} s."
    return " ".join(str(error).split())[:300] or type(error).__name__
