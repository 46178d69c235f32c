"""The app's one handle on its engine, local or remote: start, send, begin a new conversation, stop.

Everything is reported in order, as the messages of `app.ports`. When and how often to start again is the conversation's
decision (`app.conversation`); this only does it, after the delay that it is given.

Each `start` and `new_session` gives its engine session a number, which stands in every message about it. What an older
session still says is thus known for what it is, wherever it is met: here, or in the queue of whoever listens.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeAlias

from app.engine.address import check_url, is_on_this_machine
from app.engine.connection import Began, Connection, ConnectionEvent, Note
from app.engine.failures import Disconnected
from app.engine.process import EngineProcess, ProcessEnded, ProcessReady
from app.engine.target import Target
from app.ports import (
    EngineBusy,
    EngineChoice,
    EngineDown,
    EngineNote,
    EngineRenews,
    EngineReport,
    EngineSaid,
    EngineUp,
    Post,
)
from model.realtime.events import ClientEvent

MAX_WAITING = 4096
"""Events that wait for the handle's thread. Policy when full: the connection is not read until there is room."""

MAX_WAITS = 5
"""So often in a row a server's wish for patience is granted; then it counts as lost."""


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """A child process of this app. `command`: from `app.engine.process.engine_command`."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoteEngine:
    """An engine that the user named. Unless it is on this machine, sound and pictures leave it."""

    target: Target

    def __post_init__(self) -> None:
        check_url(self.target.url)


MakeEngine: TypeAlias = Callable[[EngineChoice], LocalEngine | RemoteEngine]
"""Says how to run or reach what was chosen; raises ValueError, with a message for people, when it cannot."""


@dataclass(frozen=True, slots=True)
class _Start:
    session: int
    engine: LocalEngine | RemoteEngine | None
    """None: what was chosen cannot be started, and `why_not` says why."""
    why_not: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class _NewSession:
    session: int


class _Stop:
    pass


_Message: TypeAlias = (
    _Start | _NewSession | _Stop | tuple[int, ProcessReady | ProcessEnded] | tuple[int, ConnectionEvent]
)


class EngineHandle:
    """An `app.ports.EnginePart`: owns the process and the connection on one thread of its own.

    Its methods may be called from any thread, `start` and `new_session` from one alone. `label` turns a checkpoint's
    name into what people read. What `start` is given to post with is called on this object's thread: it must hand the
    message on and return.
    """

    def __init__(
        self,
        make_engine: MakeEngine,
        label: Callable[[str], str] = str,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_engine = make_engine
        self._label = label
        self._now_s = now_s
        self._messages: queue.Queue[_Message] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="engine handle", daemon=True)
        self._thread_started = False
        self._stopped = threading.Event()
        self._post: Post | None = None
        self._asked_session = 0
        """The newest that was asked for; changed by callers only."""
        self._live: tuple[int, Connection] | None = None
        """The session that events can be sent to. One attribute, so that callers see both or none."""
        # From here on: the thread's own.
        self._session = 0
        self._engine: LocalEngine | RemoteEngine | None = None
        self._process: EngineProcess | None = None
        self._connection: Connection | None = None
        self._connection_number = 0
        self._target: Target | None = None
        self._waits = 0
        self._numbers = count(1)
        self._sources: set[int] = set()
        """The running process and connection; what any other still says is ignored."""
        self._due_s: float | None = None
        self._down: EngineDown | None = None
        """Why there is no engine, once that was told."""

    @property
    def pid(self) -> int | None:
        """The local engine's process."""
        process = self._process
        return process.pid if process is not None else None

    def start(self, post: Post, choice: EngineChoice, delay_s: float = 0.0) -> int:
        """Ends the engine if it runs, and starts it after the delay; returns the session's number at once."""
        self._post = post
        self._asked_session += 1
        engine: LocalEngine | RemoteEngine | None = None
        why_not = ""
        try:
            engine = self._make_engine(choice)
        except ValueError as error:
            why_not = str(error)
        if not self._thread_started:
            self._thread_started = True
            self._thread.start()
        self._put(_Start(self._asked_session, engine, why_not, delay_s))
        return self._asked_session

    def new_session(self) -> int:
        """Begins a new, empty conversation on the same engine; `EngineUp` follows. Returns its number at once."""
        self._asked_session += 1
        self._put(_NewSession(self._asked_session))
        return self._asked_session

    def send(self, event: ClientEvent) -> None:
        """In order; never blocks. Nothing happens while the session that was asked for last is not up."""
        live = self._live
        if live is None or live[0] != self._asked_session or live[1].send(event):
            return
        if self._live is live:
            # Nothing may be left out silently: an engine that takes no more is an engine that is lost.
            self._live = None
            self._tell(replace(EngineDown("it takes no more of what is sent to it."), session=live[0]))

    def stop(self, timeout_s: float = 3.0) -> bool:
        """Ends everything; may be called twice. False: something is still there after `timeout_s`."""
        self._put(_Stop())
        if self._thread_started and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- on the handle's thread --------------------------------------------------------------------------------------

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
            self._start(message)
        elif isinstance(message, _NewSession):
            self._session = message.session
            if self._down is not None:  # told for a session that nobody waits for any more
                self._say(self._down)
            elif self._target is not None:
                self._connect(self._target)
        elif isinstance(message, tuple):
            number, event = message
            if number in self._sources:
                self._take(event)

    def _start(self, message: _Start) -> None:
        self._end()
        self._session = message.session
        self._engine = message.engine
        if message.engine is None:
            self._lose(EngineDown(message.why_not, "Choose another engine in the settings.", final=True))
            return
        self._down = None
        self._waits = 0
        self._say(EngineBusy("connecting" if isinstance(message.engine, RemoteEngine) else "loading the model"))
        self._due_s = self._now_s() + message.delay_s

    def _take(self, event: ProcessReady | ProcessEnded | ConnectionEvent) -> None:
        match event:
            case ProcessReady():
                self._connect(Target(event.url, event.token, kind="sightline"))
            case ProcessEnded():
                self._lose(EngineDown(event.reason, event.remedy, event.final))
            case Disconnected():
                self._disconnected(event)
            case Began():
                self._up(event)
            case Note():
                self._say(EngineNote(event.text))
            case _:
                self._say(EngineSaid(event))

    def _begin(self) -> None:
        if isinstance(self._engine, RemoteEngine):
            self._connect(self._engine.target)
        elif self._engine is not None:
            number = next(self._numbers)
            self._sources.add(number)
            self._process = EngineProcess(self._engine.command, lambda event: self._put((number, event)))
            self._process.start()

    def _connect(self, target: Target) -> None:
        self._live = None
        if self._connection is not None:
            self._sources.discard(self._connection_number)
            self._connection.close()
        self._target = target
        number = self._connection_number = next(self._numbers)
        self._sources.add(number)
        self._connection = Connection(target, lambda event: self._put((number, event)))
        self._connection.start()

    def _up(self, began: Began) -> None:
        assert self._target is not None
        assert self._connection is not None
        self._waits = 0
        url = self._target.url
        self._live = (self._session, self._connection)
        leaves = isinstance(self._engine, RemoteEngine) and not is_on_this_machine(url)
        self._say(EngineUp(self._label(began.model), url, leaves, began.voices, began.abilities))

    def _disconnected(self, event: Disconnected) -> None:
        """A local engine that hangs up is ending: its exit says more than the connection does."""
        if self._process is not None:
            ended = self._process.ended(timeout_s=1.0)
            if ended is not None:
                self._lose(EngineDown(ended.reason, ended.remedy, ended.final))
                return
        elif event.renews and self._target is not None:
            self._say(EngineRenews(event.reason))
            self._connect(self._target)
            return
        elif event.retry_after_s is not None and self._waits < MAX_WAITS:
            self._waits += 1
            self._due_s = self._now_s() + event.retry_after_s
            self._say(EngineBusy(f"waiting {event.retry_after_s:.0f} s: {event.reason}"))
            return
        self._lose(EngineDown(event.reason, event.remedy, event.final))

    def _lose(self, down: EngineDown) -> None:
        self._end()
        self._down = down
        self._say(down)

    def _say(self, message: EngineReport) -> None:
        self._tell(replace(message, session=self._session))

    def _tell(self, message: EngineReport) -> None:
        assert self._post is not None
        self._post(message)

    def _end(self) -> None:
        """Ends process and connection; what they still say is ignored."""
        self._live = None
        self._sources.clear()
        self._due_s = None
        connection, self._connection = self._connection, None
        process, self._process = self._process, None
        self._target = None
        if connection is not None:
            connection.close(0.3)
        if process is not None:
            process.stop()

    def _put(self, message: _Message) -> None:
        """Waits while the queue is full, unless the handle has stopped."""
        while not self._stopped.is_set():
            try:
                self._messages.put(message, timeout=0.1)
            except queue.Full:
                continue
            return
