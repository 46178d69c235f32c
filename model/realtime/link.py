"""The two bounded queues between one client's socket and the model thread.

Policies: **to the model**: when full, the socket is not read until there is room, so that the sender's own TCP buffer
fills (nothing is lost). **To the client**: when more than `CONGESTED_BYTES` wait, the reply is not advanced until half
of it is gone (speech is never dropped); a client that takes nothing for `server.SLOW_CLIENT_S` is disconnected. Speech
of a response that was cancelled, still waiting here, is dropped: nobody will play it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from model.realtime.client_events import ClientEvent, WireError
from model.realtime.dialects import GA, Dialect
from model.realtime.metrics import Metrics
from model.realtime.server_events import OutputAudioDelta, ServerEvent

MAX_WAITING_EVENTS = 1024
MAX_WAITING_BYTES = 64 * 2**20
CONGESTED_BYTES = 8 * 2**20
"""About two minutes of speech."""


class Link:
    """Shared by the socket's task and the model thread; one lock guards it. `wake_*` are called outside the lock."""

    def __init__(
        self,
        wake_socket: Callable[[], None],
        wake_model: Callable[[], None],
        dialect: Dialect = GA,
        metrics: Metrics | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics, self._now_s = metrics, now_s
        self.dialect = dialect
        """How the client wants to be spoken to; belongs to the model thread once that serves it."""
        self._lock = threading.Lock()
        self._wake_socket = wake_socket
        self._wake_model = wake_model
        self._to_model: deque[tuple[ClientEvent | WireError, int]] = deque()
        self._to_model_bytes = 0
        self._to_client: deque[tuple[str, str | None]] = deque()
        self._to_client_bytes = 0
        self._congested = False
        self._numbers = count(1)
        self.closed = False
        self.finishing = False
        self.failed = False

    # --- the socket's side ---

    def post(self, event: ClientEvent | WireError, n_bytes: int) -> None:
        """Queues what the client sent. Read no more while there is no room."""
        with self._lock:
            self._to_model.append((event, n_bytes))
            self._to_model_bytes += n_bytes
        self._wake_model()

    def has_room(self) -> bool:
        with self._lock:
            return self._has_room()

    def _has_room(self) -> bool:
        return (
            len(self._to_model) < MAX_WAITING_EVENTS
            and self._to_model_bytes < MAX_WAITING_BYTES
            and self._to_client_bytes < 2 * CONGESTED_BYTES
        )

    def next_message(self) -> str | None:
        """The next message for the client, None when there is none now."""
        with self._lock:
            if not self._to_client:
                return None
            message, _ = self._to_client.popleft()
            self._to_client_bytes -= len(message)
            relieved = self._congested and self._to_client_bytes < CONGESTED_BYTES // 2
            if relieved:
                self._congested = False
        if relieved:
            self._wake_model()
        return message

    def finish(self, *, failed: bool = False) -> None:
        """The connection is closed when what waits has been sent."""
        self.failed = failed
        self.finishing = True
        self._wake_socket()

    def close(self) -> None:
        """The client has gone."""
        with self._lock:
            self.closed = True
            self._to_model.clear()
            self._to_client.clear()
            self._to_model_bytes = self._to_client_bytes = 0
        self._wake_model()

    # --- the model's side ---

    def take(self) -> ClientEvent | WireError | None:
        """The next thing that the client sent."""
        with self._lock:
            if not self._to_model:
                return None
            was_full = not self._has_room()
            event, n_bytes = self._to_model.popleft()
            self._to_model_bytes -= n_bytes
        if was_full:
            self._wake_socket()
        return event

    @property
    def has_events(self) -> bool:
        """Something that the client sent waits."""
        with self._lock:
            return bool(self._to_model)

    @property
    def congested(self) -> bool:
        with self._lock:
            return self._congested

    def send(self, event: ServerEvent) -> None:
        """Numbers an event and queues it for the client."""
        if self._metrics is not None:
            self._metrics.sent(self, event, self._now_s())
        response_id = event.response_id if isinstance(event, OutputAudioDelta) else None
        with self._lock:
            if self.closed:
                return
            message = self.dialect.write(replace(event, event_id=f"event_{next(self._numbers)}"))
            if message is None:
                return
            self._to_client.append((message, response_id))
            self._to_client_bytes += len(message)
            if self._to_client_bytes >= CONGESTED_BYTES:
                self._congested = True
        self._wake_socket()

    def drop_speech(self, response_id: str) -> None:
        """Throws away speech of a cancelled response that has not been sent."""
        with self._lock:
            kept = [(message, owner) for message, owner in self._to_client if owner != response_id]
            self._to_client = deque(kept)
            self._to_client_bytes = sum(len(message) for message, _ in kept)
            self._congested = self._congested and self._to_client_bytes >= CONGESTED_BYTES // 2
