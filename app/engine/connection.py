"""A Realtime client on a thread of its own: client events go in from any thread, events come out by a callback.

It speaks to one URL once: when the connection ends it says why and is done (`app.engine.handle` does what follows). The
same client serves the local engine, a GPU box in the next room and a hosted one; engines that speak the older dialect
(flat session fields, `response.audio.delta`) are recognised by their `session.created`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException

from app.engine.address import check_url, is_on_this_machine
from model.realtime.events import (
    ClientEvent,
    ErrorEvent,
    ServerEvent,
    SessionConfig,
    SessionCreated,
    SessionUpdate,
    WireError,
    client_event_json,
    parse_server_event,
)

MAX_UNSENT_BYTES = 32 * 2**20
"""Policy when full: `send` refuses (returns False); nothing that was accepted is lost or reordered."""

CLOSE_FLUSH_S = 0.3
"""After `close`, for what was sent before it."""

MAX_MESSAGE_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is over or never was. `final`: trying again cannot help (wrong token, wrong address)."""

    reason: str
    remedy: str = ""
    final: bool = False


ClientCallback: TypeAlias = Callable[[ServerEvent | Disconnected], None]


class Connection:
    """One connection. `on_event` runs on the client's thread: hand the event on and return at once.

    The last event is `Disconnected`, also when the connection was never made; after `close` it may be left out.
    """

    def __init__(self, url: str, token: str, on_event: ClientCallback, open_timeout_s: float = 10.0) -> None:
        check_url(url)
        self.url = url
        self._token = token
        self._on_event = on_event
        self._open_timeout_s = open_timeout_s
        self._lock = threading.Lock()
        self._unsent: deque[str] = deque()
        self._unsent_bytes = 0
        self._older_dialect = False
        self._last_error = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._close_asked: asyncio.Event | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine connection", daemon=True)

    def start(self) -> None:
        """Connects in the background; returns at once. Once only."""
        self._thread.start()

    def send(self, event: ClientEvent) -> bool:
        """Queues an event; never blocks. False: refused, because the engine takes nothing or the client is closed."""
        if self._older_dialect:
            event = older_form(event)
        message = client_event_json(event)
        with self._lock:
            if self._closing or self._unsent_bytes + len(message) > MAX_UNSENT_BYTES:
                return False
            self._unsent.append(message)
            self._unsent_bytes += len(message)
        self._poke()
        return True

    def close(self, timeout_s: float = 1.0) -> bool:
        """Disconnects; may be called twice, and from the callback. False: the thread did not end in time."""
        with self._lock:
            self._closing = True
        self._poke(closing=True)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _poke(self, closing: bool = False) -> None:
        loop, wake, close_asked = self._loop, self._wake, self._close_asked
        if loop is None or wake is None or close_asked is None:
            return  # not running yet: it looks for itself when it begins
        with contextlib.suppress(RuntimeError):  # the loop has ended: there is nobody to wake
            loop.call_soon_threadsafe(wake.set)
            if closing:
                loop.call_soon_threadsafe(close_asked.set)

    # --- on the client's thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        end = asyncio.run(self._talk())
        if not self._closing:
            self._on_event(end)

    async def _talk(self) -> Disconnected:
        self._wake, self._close_asked = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._closing:
            self._close_asked.set()
        try:
            connection = await self._open(self._close_asked)
            if connection is None:
                return Disconnected("It was closed before it was connected.")
            async with connection:
                return await self._exchange(connection, self._wake)
        except InvalidStatus as error:
            return _refused(error, self.url)
        except (InvalidURI, InvalidHandshake) as error:
            return Disconnected(f"{self.url} does not answer as a Realtime engine: {error}.", final=True)
        except TimeoutError:
            return Disconnected(f"{self.url} did not answer within {self._open_timeout_s:.0f} s.")
        except (OSError, WebSocketException) as error:
            return Disconnected(f"{self.url} cannot be reached: {error}.", "Check the address and that it runs.")
        except ValueError as error:  # a host name or a token that cannot be put into a request
            return Disconnected(f"{self.url} cannot be asked: {error}.", "Check the address and the token.", final=True)

    async def _open(self, close_asked: asyncio.Event) -> ClientConnection | None:
        """Connects; None when `close` came first."""
        local = is_on_this_machine(self.url)

        async def open_it() -> ClientConnection:
            return await connect(
                self.url,
                additional_headers={"Authorization": f"Bearer {self._token}"},
                open_timeout=self._open_timeout_s,
                close_timeout=0.5,
                max_size=MAX_MESSAGE_BYTES,
                compression=None if local else "deflate",
                proxy=None if local else True,
            )

        opening = asyncio.create_task(open_it())
        closing = asyncio.create_task(close_asked.wait())
        await asyncio.wait({opening, closing}, return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        if opening.done():
            return opening.result()
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        return None

    async def _exchange(self, connection: ClientConnection, wake: asyncio.Event) -> Disconnected:
        reader = asyncio.create_task(self._read(connection))
        writer = asyncio.create_task(self._write(connection, wake))
        patience = asyncio.create_task(self._lose_patience())
        try:
            await asyncio.wait({reader, writer, patience}, return_when=asyncio.FIRST_COMPLETED)
            if patience.done():
                connection.transport.abort()
        finally:
            for task in (reader, writer, patience):
                task.cancel()
            await asyncio.gather(reader, writer, patience, return_exceptions=True)
        for task in (reader, writer):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        code, reason = connection.close_code, connection.close_reason
        return Disconnected(
            self._last_error or f"The engine ended the connection ({code}{f', {reason}' if reason else ''})."
        )

    async def _lose_patience(self) -> None:
        """Ends a while after `close`, which an engine that takes nothing must not hold up."""
        assert self._close_asked is not None
        await self._close_asked.wait()
        await asyncio.sleep(CLOSE_FLUSH_S)

    async def _read(self, connection: ClientConnection) -> None:
        while True:
            try:
                message = await connection.recv()
            except ConnectionClosed:
                return
            try:
                event = parse_server_event(message)
            except WireError as error:
                raise WebSocketException(f"it sent something unreadable: {error}") from error
            if isinstance(event, SessionCreated):
                self._older_dialect = "audio" not in event.session and "modalities" in event.session
            elif isinstance(event, ErrorEvent):
                self._last_error = event.error.message if event.error.type == "server_error" else ""
            self._on_event(event)

    async def _write(self, connection: ClientConnection, wake: asyncio.Event) -> None:
        while True:
            wake.clear()
            while (message := self._next()) is not None:
                try:
                    await connection.send(message)
                except ConnectionClosed:
                    return
            if self._closing:
                await connection.close()
                return
            await wake.wait()

    def _next(self) -> str | None:
        with self._lock:
            if not self._unsent:
                return None
            message = self._unsent.popleft()
            self._unsent_bytes -= len(message)
            return message


def _refused(error: InvalidStatus, url: str) -> Disconnected:
    status = error.response.status_code
    if status in (401, 403):
        return Disconnected(
            f"{url} refuses the token ({status}).", "Enter the token that this engine expects.", final=True
        )
    if status == 404:
        return Disconnected(f"{url} has no Realtime engine at this path (404).", "Check the address.", final=True)
    if status == 503:
        return Disconnected(f"{url} is busy: it serves as many clients as it takes (503).", "Close the other client.")
    return Disconnected(f"{url} refuses the connection ({status}).")


def older_form(event: ClientEvent) -> ClientEvent:
    """The same event for an engine of the older dialect, which has the session's fields flat."""
    if not isinstance(event, SessionUpdate):
        return event
    config = event.session
    audio_in = config.audio.input if config.audio is not None else None
    audio_out = config.audio.output if config.audio is not None else None
    flat = SessionConfig(instructions=config.instructions, max_response_output_tokens=config.max_output_tokens)
    if config.output_modalities is not None:
        flat = replace(flat, modalities=("text", "audio") if "audio" in config.output_modalities else ("text",))
    if audio_in is not None:
        flat = replace(flat, turn_detection=audio_in.turn_detection, input_audio_transcription=audio_in.transcription)
        if audio_in.format is not None:
            flat = replace(flat, input_audio_format="pcm16")
    if audio_out is not None and isinstance(audio_out.voice, str):
        flat = replace(flat, voice=audio_out.voice)
    return replace(event, session=flat)
