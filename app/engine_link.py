"""The app's one handle on its engine, local or remote: start, send, begin a new conversation, stop.

Everything is reported in order, on one thread. When and how often to start again is the conversation's decision
(`app.conversation`); this only does it, after the delay that it is given.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from app.engine_client import Disconnected, EngineClient, check_url, is_on_this_machine
from app.engine_process import EngineProcess, ProcessEnded, ProcessReady
from model.realtime.events import ClientEvent, ServerEvent, SessionCreated

MAX_WAITING = 4096
"""Events that wait for the callback. Policy when full: the connection is not read until there is room."""


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """A child process of this app. `command`: from `app.engine_process.engine_command`."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoteEngine:
    """An engine that the user named. Unless `url` is this machine, sound and pictures leave it."""

    url: str
    token: str

    def __post_init__(self) -> None:
        check_url(self.url)


@dataclass(frozen=True, slots=True)
class EngineUp:
    """The model is loaded and a new, empty conversation waits. Comes again after `new_session`."""

    url: str
    leaves_this_machine: bool
    model: str
    voices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineDown:
    """No engine. Nothing follows until `start`. `final`: starting it again cannot help."""

    reason: str
    remedy: str = ""
    final: bool = False


LinkEvent: TypeAlias = EngineUp | EngineDown | ServerEvent
LinkCallback: TypeAlias = Callable[[LinkEvent], None]


@dataclass(frozen=True, slots=True)
class _Start:
    delay_s: float


class _NewSession:
    pass


class _Stop:
    pass


_Message: TypeAlias = (
    _Start | _NewSession | _Stop | tuple[int, ProcessReady | ProcessEnded] | tuple[int, ServerEvent | Disconnected]
)


class EngineLink:
    """Owns the process and the connection on one thread; its methods may be called from any thread."""

    def __init__(
        self,
        engine: LocalEngine | RemoteEngine,
        on_event: LinkCallback,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_event` runs on this object's thread: hand the event on and return at once."""
        self.engine = engine
        self._on_event = on_event
        self._now_s = now_s
        self._messages: queue.Queue[_Message] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="engine link", daemon=True)
        self._stopped = threading.Event()
        self._process: EngineProcess | None = None
        self._client: EngineClient | None = None
        self._client_number = 0
        self._address: tuple[str, str] | None = None
        self._numbers = count(1)
        self._sources: set[int] = set()
        """The running process and connection; what any other still says is ignored."""
        self._due_s: float | None = None
        self._thread_started = False

    def start(self, delay_s: float = 0.0) -> None:
        """Ends the engine if it runs, and starts it after the delay; returns at once."""
        if not self._thread_started:
            self._thread_started = True
            self._thread.start()
        self._put(_Start(delay_s))

    def new_session(self) -> None:
        """Begins a new, empty conversation on the same engine; `EngineUp` follows."""
        self._put(_NewSession())

    def send(self, event: ClientEvent) -> bool:
        """Queues an event; never blocks. False: there is no engine, or it takes nothing."""
        client = self._client
        return client is not None and client.send(event)

    @property
    def pid(self) -> int | None:
        """The local engine's process."""
        process = self._process
        return process.pid if process is not None else None

    def stop(self, timeout_s: float = 3.0) -> bool:
        """Ends everything; may be called twice. False: something is still there after `timeout_s`."""
        self._put(_Stop())
        if self._thread_started and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- on the link's thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (message := self._next()) is not None:
                self._handle(message)
        finally:
            self._stopped.set()
            self._end()

    def _next(self) -> _Message | None:
        """The next message; starts the engine meanwhile when it is due. None: stop."""
        while True:
            timeout_s = None if self._due_s is None else max(0.0, self._due_s - self._now_s())
            try:
                message = self._messages.get(timeout=timeout_s)
            except queue.Empty:
                self._due_s = None
                self._begin()
                continue
            return None if isinstance(message, _Stop) else message

    def _handle(self, message: _Message) -> None:
        if isinstance(message, _Start):
            self._end()
            self._due_s = self._now_s() + message.delay_s
        elif isinstance(message, _NewSession):
            if self._address is not None:
                self._connect(*self._address)
        elif isinstance(message, tuple):
            number, event = message
            if number in self._sources:
                self._take(event)

    def _take(self, event: ProcessReady | ProcessEnded | ServerEvent | Disconnected) -> None:
        if isinstance(event, ProcessReady):
            self._connect(event.url, event.token)
        elif isinstance(event, ProcessEnded):
            self._down(event.reason, event.remedy, event.final)
        elif isinstance(event, Disconnected):
            self._disconnected(event)
        else:
            if isinstance(event, SessionCreated):
                self._on_event(self._up(event))
            self._on_event(event)

    def _begin(self) -> None:
        if isinstance(self.engine, RemoteEngine):
            self._connect(self.engine.url, self.engine.token)
            return
        number = next(self._numbers)
        self._sources.add(number)
        self._process = EngineProcess(self.engine.command, lambda event: self._put((number, event)))
        self._process.start()

    def _connect(self, url: str, token: str) -> None:
        if self._client is not None:
            self._sources.discard(self._client_number)
            self._client.close()
        self._address = (url, token)
        number = self._client_number = next(self._numbers)
        self._sources.add(number)
        self._client = EngineClient(url, token, lambda event: self._put((number, event)))
        self._client.start()

    def _up(self, created: SessionCreated) -> EngineUp:
        assert self._address is not None
        url = self._address[0]
        voices = created.session.get("voices")
        model = created.session.get("model")
        return EngineUp(
            url,
            isinstance(self.engine, RemoteEngine) and not is_on_this_machine(url),
            model if isinstance(model, str) else "",
            tuple(str(voice) for voice in voices) if isinstance(voices, list) else (),
        )

    def _disconnected(self, event: Disconnected) -> None:
        """A local engine that hangs up is ending: its exit says more than the connection does."""
        if self._process is not None:
            ended = self._process.ended(timeout_s=1.0)
            if ended is not None:
                self._down(ended.reason, ended.remedy, ended.final)
                return
        self._down(event.reason, event.remedy, event.final)

    def _down(self, reason: str, remedy: str, final: bool) -> None:
        self._end()
        self._on_event(EngineDown(reason, remedy, final))

    def _end(self) -> None:
        """Ends process and connection; what they still say is ignored."""
        self._sources.clear()
        self._due_s = None
        client, self._client = self._client, None
        process, self._process = self._process, None
        self._address = None
        if client is not None:
            client.close(0.3)
        if process is not None:
            process.stop()

    def _put(self, message: _Message) -> None:
        """Waits while the queue is full, unless the link has stopped."""
        while not self._stopped.is_set():
            try:
                self._messages.put(message, timeout=0.1)
            except queue.Full:
                continue
            return
