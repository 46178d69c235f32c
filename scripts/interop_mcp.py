"""A published MCP server through our toolbox, for `scripts/interop`.

    interop_mcp.py "NAME = COMMAND"

The line is what a user enters in the settings; the server is `mcp-server-time`. Prints one line a capability:
`{"capability": ..., "ok": true | false, "detail": ...}`.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app import events as ev
from app.tools.mcp_servers import McpServers, tool_name
from app.tools.toolbox import Toolbox
from tests.app.tools.test_tools import Room

PATIENCE_S = 60.0


@contextmanager
def toolbox(line: str, allowed: set[str]) -> Iterator[Toolbox]:
    changed = threading.Event()
    servers = McpServers(changed.set)
    tools = Toolbox([], Room(), allowed.__contains__, servers)
    try:
        servers.use((line,))
        if not changed.wait(PATIENCE_S) or servers.problems():
            raise RuntimeError(f"the server did not start: {servers.problems()}")
        yield tools
    finally:
        tools.stop()


def call(tools: Toolbox, name: str, arguments: dict[str, str]) -> str:
    events: queue.Queue[ev.Event] = queue.Queue()
    tools.run(events.put, "call", name, json.dumps(arguments))
    event = events.get(timeout=PATIENCE_S)
    assert isinstance(event, ev.ToolFinished)
    return event.output


def report(capability: str, ok: bool, detail: object) -> None:
    sys.stdout.write(json.dumps({"capability": capability, "ok": ok, "detail": str(detail)[:300]}) + "\n")


def main() -> None:
    line = sys.argv[1]
    server = line.split("=")[0].strip()
    now, convert = (tool_name(server, name) for name in ("get_current_time", "convert_time"))
    with toolbox(line, {convert}) as tools:
        names = {tool.name: tool.on for tool in tools.offered()}
        report("tools", names == {now: False, convert: True}, names)
        refused = call(tools, now, {"timezone": "Asia/Tokyo"})
        report("off until allowed", refused.startswith("Error:"), refused)
        asked = {"source_timezone": "UTC", "time": "12:30", "target_timezone": "Asia/Tokyo"}
        told = call(tools, convert, asked)
        report("call", "21:30" in told, told)
        wrong = call(tools, convert, {**asked, "target_timezone": "Nowhere/Town"})
        report("wrong call", "Nowhere/Town" in wrong, wrong)


if __name__ == "__main__":
    main()
