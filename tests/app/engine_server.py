"""A real realtime server (over a scripted model) on a thread of its own, for tests of the app's side of the wire."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.model.realtime.scripted import ScriptedFlash
from tests.model.realtime.sockets import TOKEN, serving

PATIENCE_S = 20.0

__all__ = ["PATIENCE_S", "TOKEN", "Inbox", "engine_server"]


@contextmanager
def engine_server(flash: ScriptedFlash | None = None, max_clients: int = 1) -> Iterator[str]:
    """The URL of a server that runs until the block ends."""
    urls: queue.Queue[str] = queue.Queue()
    stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    loaded = flash or ScriptedFlash()

    async def serve() -> None:
        stop = asyncio.Event()
        async with serving(lambda: loaded, max_clients) as (_, url):
            stops.append((asyncio.get_running_loop(), stop))
            urls.put(url)
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield urls.get(timeout=PATIENCE_S)
    finally:
        for loop, stop in stops:
            loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


class Inbox:
    """Collects what a callback gets."""

    def __init__(self) -> None:
        self._events: queue.Queue[Any] = queue.Queue()
        self.seen: list[Any] = []

    def __call__(self, event: Any) -> None:
        self._events.put(event)

    def until(self, kind: Any, timeout_s: float = PATIENCE_S) -> Any:
        """The next event of this type."""
        while True:
            event = self._events.get(timeout=timeout_s)
            self.seen.append(event)
            if isinstance(event, kind):
                return event

    def nothing_more(self) -> bool:
        return self._events.empty()
