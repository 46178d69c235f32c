"""MCP servers: real ones of the `mcp` package, over stdio and HTTP."""

from __future__ import annotations

import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import events as ev
from app.tools.mcp_servers import McpServers, ServerEntry, read_entry, tool_name
from app.tools.toolbox import Toolbox
from tests.app.tools.test_tools import PATIENCE_S, Room
from tests.sound_server import wait_until

SERVER = str(Path(__file__).parent / "mcp_server.py")
STDIO = f"shop = {sys.executable} {SERVER}"
PRICE = tool_name("shop", "price")


class Shop:
    """A toolbox with MCP servers, of whose tools `allowed` are on."""

    def __init__(self) -> None:
        self.changes = 0
        self.allowed: set[str] = set()
        self.changed = threading.Condition()
        self.servers = McpServers(self._on_change)
        self.toolbox = Toolbox([], Room(), lambda name: name in self.allowed, self.servers)
        self.events: queue.Queue[ev.Event] = queue.Queue()

    def _on_change(self) -> None:
        with self.changed:
            self.changes += 1
            self.changed.notify_all()

    def wait_change(self, n: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.changes >= n, 60.0), self.servers.problems()

    def call(self, name: str, arguments: str) -> str:
        self.toolbox.run(self.events.put, "call", name, arguments)
        event = self.events.get(timeout=PATIENCE_S)
        assert isinstance(event, ev.ToolFinished)
        return event.output


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.toolbox.stop()


def test_a_server_over_stdio(shop: Shop) -> None:
    shop.servers.use((STDIO,))
    shop.wait_change(1)
    assert [(tool.name, tool.on, tool.server) for tool in shop.toolbox.offered()] == [
        (PRICE, False, "shop"),
        (tool_name("shop", "vanish"), False, "shop"),
    ]
    assert shop.toolbox.offer() == ()
    assert shop.call(PRICE, '{"article": "pen"}') == f"Error: there is no tool {PRICE!r}."  # not allowed yet
    shop.allowed.add(PRICE)
    (offer,) = shop.toolbox.offer()
    assert offer["parameters"]["required"] == ["article"]
    assert shop.call(PRICE, '{"article": "pen", "count": 2}') == "2 x pen: 6 euros"
    assert "not for sale" in shop.call(PRICE, '{"article": "moon"}')
    assert shop.call(PRICE, "{}").startswith("Error:")
    shop.servers.use(())
    shop.wait_change(2)
    assert shop.toolbox.offered() == ()


def test_a_server_over_http(shop: Shop) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, SERVER, str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: listens(port), "the server listens", 60)
            shop.servers.use((f"shop = http://127.0.0.1:{port}/mcp",))
            shop.wait_change(1)
            shop.allowed.add(PRICE)
            assert shop.call(PRICE, '{"article": "pen"}') == "1 x pen: 3 euros"
        finally:
            shop.toolbox.stop()
            process.kill()


def listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_servers_that_do_not_work_say_why(shop: Shop) -> None:
    shop.servers.use(("gone = /no/such/program", "closed = http://127.0.0.1:9/mcp"))
    shop.wait_change(2)
    problems = shop.servers.problems()
    assert set(problems) == {"gone", "closed"}
    assert all(problems.values())
    assert shop.toolbox.offered() == ()


def test_a_server_that_dies_in_a_call_is_an_answer(shop: Shop) -> None:
    shop.servers.use((STDIO,))
    shop.wait_change(1)
    vanish = tool_name("shop", "vanish")
    shop.allowed.add(vanish)
    assert shop.call(vanish, "{}").startswith("Error:")


def test_lines_of_the_settings() -> None:
    assert read_entry("time = uvx mcp-server-time --zone 'Europe/Paris'") == ServerEntry(
        "time", ("uvx", "mcp-server-time", "--zone", "Europe/Paris")
    )
    assert read_entry("web=https://mcp.example/mcp") == ServerEntry("web", "https://mcp.example/mcp")
    for wrong in ("", "time", "= x", "a b = c", "x =", "x = 'unclosed"):
        with pytest.raises(ValueError, match="MCP server"):
            read_entry(wrong)


def test_names_that_an_engine_takes() -> None:
    assert tool_name("web", "a.b/c d") == "web__a_b_c_d"
    assert len(tool_name("web", "x" * 100)) == 64
