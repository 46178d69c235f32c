"""The Assistant's queue: bounded, many writers, one reader; every kind of message has a named overflow policy."""

from __future__ import annotations

import threading
import time
from collections import deque
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")

CAPACITY = 4000
"""40 s of microphone blocks."""
RESERVE = 1000
"""Kept free for what must never be lost when sound fills the queue."""
WAIT_S = 10.0
"""After this a writer that waits takes the reserve: it may hold a lock that the reader is waiting for."""


class Overflow(Enum):
    """What happens to a message when the queue is full."""

    REFUSE = "refuse"  # live sound: the newest is refused and counted
    WAIT = "wait"  # engine and sound files: the writer waits, which slows down where it comes from
    NEWEST = "newest"  # level, picture: only the newest of its kind is kept at all
    MUST = "must"  # commands, device events: takes the reserve; refused (False) only when that is full, too


class Inbox(Generic[T]):
    """Owned by its reader; `put` may be called from any thread."""

    def __init__(self, capacity: int = CAPACITY, reserve: int = RESERVE) -> None:
        self._capacity = capacity
        self._limit = capacity + reserve
        self._items: deque[T] = deque()
        self._newest: dict[type, T] = {}
        self._changed = threading.Condition()
        self._closed = False

    def put(self, message: T, overflow: Overflow) -> bool:
        """False when the message was not taken (full, or closed)."""
        with self._changed:
            if self._closed:
                return False
            if overflow is Overflow.NEWEST:
                self._newest[type(message)] = message
            else:
                limit = self._limit if overflow is Overflow.MUST else self._capacity
                if overflow is Overflow.WAIT:
                    room = self._changed.wait_for(lambda: self._closed or len(self._items) < limit, WAIT_S)
                    if self._closed:
                        return False
                    limit = limit if room else self._limit
                if len(self._items) >= limit:
                    return False
                self._items.append(message)
            self._changed.notify_all()
            return True

    def take(self, timeout_s: float) -> tuple[T, ...]:
        """Everything that waits, at most 200 at a time; waits up to `timeout_s` for a first message."""
        end_s = time.monotonic() + timeout_s
        with self._changed:
            while not (self._items or self._newest or self._closed):
                left_s = end_s - time.monotonic()
                if left_s <= 0:
                    return ()
                self._changed.wait(left_s)
            taken = [self._items.popleft() for _ in range(min(200, len(self._items)))]
            taken.extend(self._newest.values())
            self._newest.clear()
            self._changed.notify_all()
            return tuple(taken)

    def close(self) -> None:
        """Writers that wait go on; nothing more is taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Tally:
    """A sum that one thread adds to and another takes away. Any thread may do either."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._lock = threading.Lock()

    def add(self, amount: float) -> None:
        with self._lock:
            self._sum += amount

    def take(self) -> float:
        """What was added since the last call."""
        with self._lock:
            taken, self._sum = self._sum, 0.0
            return taken
