"""WebSocket servers that are another engine, or no engine at all."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from tests.app.engine_server import PATIENCE_S


@contextmanager
def peer(behave: Callable[[ServerConnection], Coroutine[Any, Any, None]]) -> Iterator[str]:
    """A WebSocket server that is another engine, or no engine at all."""
    ports: queue.Queue[int] = queue.Queue()
    stop: list[Callable[[], None]] = []

    async def run() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with serve(behave, "127.0.0.1", 0, close_timeout=0.2) as server:
            stop.append(lambda: loop.call_soon_threadsafe(stopped.set))
            ports.put(next(iter(server.sockets)).getsockname()[1])
            await stopped.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        yield f"ws://127.0.0.1:{ports.get(timeout=PATIENCE_S)}/api-ws/v1/realtime"
    finally:
        stop[0]()
        thread.join(PATIENCE_S)
