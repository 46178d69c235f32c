"""A Realtime client on a thread of its own: client events go in from any thread, events come out by a callback.

It speaks to one target once: when the connection ends it says why and is done (`app.engine.handle` does what follows).
How the server speaks is its dialect's business (`app.dialects`): it is chosen by the target or by its address, and by
what the server says first where neither tells. Nothing that a server sends ends the connection: what cannot be read is
logged and skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from app.dialects.abilities import Abilities
from app.dialects.base import Json
from app.dialects.registry import dialect_of, recognised
from app.engine.address import check_url, is_on_this_machine
from app.engine.failures import Disconnected, why_not
from app.engine.reading import read_event, read_object
from app.engine.target import Target
from app.engine.trust import trust
from model.realtime.events import (
    ClientEvent,
    ErrorEvent,
    InputAudioBufferAppend,
    InputImageBufferAppend,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
)

log = logging.getLogger(__name__)

MAX_UNSENT_BYTES = 32 * 2**20
"""Policy when full: `send` refuses (returns False); nothing that was accepted is lost or reordered."""

CLOSE_FLUSH_S = 0.3
"""After `close`, for what was sent before it."""

MAX_MESSAGE_BYTES = 32 * 2**20
MAX_LOGGED_CHARS = 200

LONGEST_FIRST_WORD_S = 600.0
"""From the connection to the session's beginning. An engine of ours that loads a large model needs minutes."""

SESSION_OVER_CODES = frozenset({"session_expired", "session_timeout", "max_session_duration_exceeded"})
SESSION_OVER_TYPES = frozenset({"session.expired"})
RENEWAL_S = 120.0
"""So long before the end that a service has announced, the first pause in the conversation is used to renew it."""
PAUSE_S = 2.0
"""Nothing said or sent for so long, and no reply being made."""
LAST_MOMENT_S = 5.0
"""So long before the end, no pause is waited for any more."""
SHORTEST_LIMIT_S = 600.0
"""A session that was closed in good order after at least so long was closed because its time was up."""
GOOD_ORDER = frozenset({1000, 1001, 1008})


@dataclass(frozen=True, slots=True)
class Began:
    """The session stands. Comes once, before the `SessionCreated` that it stands for."""

    kind: str
    """Key of the server's dialect."""
    abilities: Abilities
    voices: tuple[str, ...]
    model: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something about this server that the user should know; each comes once."""

    text: str


ConnectionEvent: TypeAlias = Began | Note | ServerEvent | Disconnected
ConnectionCallback: TypeAlias = Callable[[ConnectionEvent], None]


class Connection:
    """One connection. `on_event` runs on the connection's thread: hand the event on and return at once.

    The last event is `Disconnected`, also when the connection was never made; after `close` it may be left out.
    """

    def __init__(self, target: Target, on_event: ConnectionCallback, open_timeout_s: float = 10.0) -> None:
        check_url(target.url)
        self.target = target
        self._on_event = on_event
        self._open_timeout_s = open_timeout_s
        self._lock = threading.Lock()
        self._unsent: deque[tuple[ClientEvent, int]] = deque()
        self._unsent_bytes = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._close_asked: asyncio.Event | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine connection", daemon=True)
        # From here on: the thread's own.
        self._dialect = dialect_of(target)
        self._ready = False
        self._began_s = 0.0
        self._last_error = ""
        self._time_is_up = False
        self._lasts_s: float | None = None
        """From `_began_s` to the end that the service has announced."""
        self._replying = False
        self._busy_s = 0.0
        """When something was said or sent last."""
        self._n_unreadable = 0
        self._sending: set[asyncio.Future[None]] = set()
        """What is on its way by itself; kept, so that it is not forgotten before it is done."""

    def start(self) -> None:
        """Connects in the background; returns at once. Once only."""
        self._thread.start()

    def send(self, event: ClientEvent) -> bool:
        """Queues an event; never blocks. False: refused, because the engine takes nothing or the connection is over."""
        size = _size(event)
        with self._lock:
            if self._closing or self._unsent_bytes + size > MAX_UNSENT_BYTES:
                return False
            self._unsent.append((event, size))
            self._unsent_bytes += size
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

    # --- on the connection's thread ----------------------------------------------------------------------------------

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
        except (OSError, EOFError, WebSocketException, ValueError) as error:
            return await why_not(error, self.target.url, self._open_timeout_s)
        if connection is None:
            return Disconnected("It was closed before it was connected.")
        async with connection:
            return await self._exchange(connection, self._wake)

    async def _open(self, close_asked: asyncio.Event) -> ClientConnection | None:
        """Connects; None when `close` came first."""
        local = is_on_this_machine(self.target.url)

        async def open_it() -> ClientConnection:
            return await connect(
                self._dialect.address(),
                additional_headers=self._dialect.headers(),
                ssl=await asyncio.to_thread(trust, self.target),
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
        self._began_s = time.monotonic()
        reader = asyncio.create_task(self._read(connection))
        writer = asyncio.create_task(self._write(connection, wake))
        patience = asyncio.create_task(self._lose_patience())
        first_word = asyncio.create_task(self._miss_first_word())
        renewal = asyncio.create_task(self._renew_in_time())
        tasks = (reader, writer, patience, first_word, renewal)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if patience.done() or first_word.done():
                connection.transport.abort()
            was_announced = renewal.done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in (reader, writer):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if not first_word.cancelled():
            return Disconnected(
                f"{self.target.url} took the connection, but did not begin a conversation.",
                "Check the model in the settings, and what the engine writes in its log.",
            )
        if was_announced:
            assert self._lasts_s is not None
            return Disconnected(f"The engine's service ends a session after {_minutes(self._lasts_s)}.", renews=True)
        return self._end(connection)

    def _end(self, connection: ClientConnection) -> Disconnected:
        code, reason = connection.close_code, connection.close_reason
        lasted_s = time.monotonic() - self._began_s
        if self._time_is_up or (lasted_s >= SHORTEST_LIMIT_S and code in GOOD_ORDER and not self._last_error):
            return Disconnected(f"The engine's service ended the session after {_minutes(lasted_s)}.", renews=True)
        return Disconnected(
            self._last_error or f"The engine ended the connection ({code}{f', {reason}' if reason else ''})."
        )

    async def _lose_patience(self) -> None:
        """Ends a while after `close`, which an engine that takes nothing must not hold up."""
        assert self._close_asked is not None
        await self._close_asked.wait()
        await asyncio.sleep(CLOSE_FLUSH_S)

    async def _miss_first_word(self) -> None:
        """Ends when the session should have begun and has not."""
        await asyncio.sleep(LONGEST_FIRST_WORD_S)
        if self._ready:
            await asyncio.Event().wait()  # for ever: nothing is missed

    async def _renew_in_time(self) -> None:
        """Ends when a new session should follow this one, before its announced end."""
        while True:
            await asyncio.sleep(min(1.0, PAUSE_S / 2))
            if self._lasts_s is None:
                continue
            left_s = self._began_s + self._lasts_s - time.monotonic()
            quiet = not self._replying and time.monotonic() - self._busy_s >= PAUSE_S
            if left_s < LAST_MOMENT_S or (left_s < RENEWAL_S and quiet):
                return

    async def _read(self, connection: ClientConnection) -> None:
        while True:
            try:
                message = await connection.recv()
            except ConnectionClosed:
                return
            try:
                data = read_object(message)
            except ValueError as error:
                self._skip(f"{error}: {str(message[:MAX_LOGGED_CHARS])!r}")
                continue
            try:
                if not self._ready:
                    self._dialect = recognised(self._dialect, data)
                heard = self._dialect.hear(data)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                self._skip(f"{error!r} in {str(message[:MAX_LOGGED_CHARS])!r}")
                continue
            self._tell(heard)
            self._follow(connection)

    def _tell(self, events: Iterable[Json]) -> None:
        for data in events:
            self._time_is_up = self._time_is_up or data["type"] in SESSION_OVER_TYPES
            try:
                event = read_event(data)
            except (ValueError, TypeError, KeyError) as error:
                self._skip(f"{error!r} in {str(data)[:MAX_LOGGED_CHARS]}")
                continue
            self._busy_s = time.monotonic()
            if isinstance(event, SessionCreated) and not self._ready:
                self._begin(event)
            elif isinstance(event, ResponseCreated | ResponseDone):
                self._replying = isinstance(event, ResponseCreated)
            elif isinstance(event, ErrorEvent):
                self._time_is_up = self._time_is_up or event.error.code in SESSION_OVER_CODES
                self._last_error = event.error.message if event.error.type == "server_error" else ""
            self._on_event(event)

    def _begin(self, event: SessionCreated) -> None:
        self._ready = True
        ends_at_s = self._dialect.ends_at(event.session)
        if ends_at_s is not None and ends_at_s - time.time() > RENEWAL_S:  # otherwise a clock is wrong: it is found out
            self._lasts_s = ends_at_s - time.time()
        voices = event.session.get("voices")
        named = tuple(str(voice) for voice in voices) if isinstance(voices, list) else self._dialect.voices
        model = event.session.get("model")
        model = model if isinstance(model, str) and model else self.target.model or self._dialect.default_model
        self._on_event(Began(self._dialect.key, self._dialect.abilities_of(event.session), named, model))
        assert self._wake is not None
        self._wake.set()

    def _follow(self, connection: ClientConnection) -> None:
        """What a dialect has made of what was said, besides events and messages."""
        self._tell(self._dialect.take_made())
        for text in self._dialect.take_notes():
            self._on_event(Note(text))
        for delay_s, message in self._dialect.take_later():
            assert self._loop is not None
            self._loop.call_later(delay_s, self._send_later, connection, message)

    def _send_later(self, connection: ClientConnection, message: Json) -> None:
        async def send() -> None:
            with contextlib.suppress(ConnectionClosed):
                await connection.send(json.dumps(message, separators=(",", ":")))

        sending = asyncio.ensure_future(send())
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    def _skip(self, what: str) -> None:
        """Logged at length for the first few: a server that always does it must not fill the disk."""
        self._n_unreadable += 1
        if self._n_unreadable <= 20:
            log.warning("the engine said something that cannot be read: %s", what)

    async def _write(self, connection: ClientConnection, wake: asyncio.Event) -> None:
        try:
            for message in self._dialect.opening():
                await connection.send(json.dumps(message))
            while True:
                wake.clear()
                while (self._ready or self._closing) and (event := self._next()) is not None:
                    self._busy_s = time.monotonic()
                    for message in self._dialect.say(event):
                        await connection.send(json.dumps(message, separators=(",", ":")))
                    self._follow(connection)
                if self._closing:
                    if self._ready:
                        for message in self._dialect.closing():
                            await connection.send(json.dumps(message))
                    await connection.close()
                    return
                await wake.wait()
        except ConnectionClosed:
            # What the server said last is still to be read; the reader ends the exchange.
            await asyncio.Event().wait()

    def _next(self) -> ClientEvent | None:
        with self._lock:
            if not self._unsent:
                return None
            event, size = self._unsent.popleft()
            self._unsent_bytes -= size
            return event


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _size(event: ClientEvent) -> int:
    """About as many bytes as the message will have."""
    match event:
        case InputAudioBufferAppend(audio=payload) | InputImageBufferAppend(image=payload):
            return len(payload or "") + 100
        case _:
            return len(repr(event))
