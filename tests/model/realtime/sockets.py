"""A real server on a real socket over a scripted model, for tests of what goes in and out of a connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from model.realtime.model_thread import ModelThread
from model.realtime.server import Address, RealtimeServer
from tests.model.realtime.harness import validate
from tests.model.realtime.scripted import ScriptedFlash

TOKEN = "a token for tests only"
PATIENCE_S = 20.0


@asynccontextmanager
async def serving(
    load: Callable[[], Any], max_clients: int = 1, make_detector: Any = None, tls: Any = None
) -> AsyncIterator[tuple[RealtimeServer, str]]:
    make_model = partial(ModelThread, load=load, model_name="scripted", make_detector=make_detector)
    server = RealtimeServer(Address(tls=tls), TOKEN, max_clients, make_model)
    url = await server.start()
    try:
        yield server, url
    finally:
        await server.stop()
        assert server.model.stop(5.0), "the model thread did not end"


class Client:
    """Sends and receives JSON; holds every event to the `openai` package's types."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []

    async def say(self, type_name: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": type_name, **fields}))

    async def next(self) -> dict[str, Any]:
        event = json.loads(await asyncio.wait_for(self.connection.recv(), PATIENCE_S))
        validate(event)
        self.events.append(event)
        return dict(event)

    async def until(self, type_name: str) -> dict[str, Any]:
        while (event := await self.next())["type"] != type_name:
            pass
        return event


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Returns as soon as the condition holds; the loop runs on meanwhile."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.001)
    assert condition(), what


@asynccontextmanager
async def connected(url: str, token: str = TOKEN) -> AsyncIterator[Client]:
    async with connect(url, additional_headers={"Authorization": f"Bearer {token}"}, max_size=None) as connection:
        yield Client(connection)


def load_scripted(**fields: Any) -> tuple[ScriptedFlash, Callable[[], ScriptedFlash]]:
    flash = ScriptedFlash(**fields)
    return flash, lambda: flash
