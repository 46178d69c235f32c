"""Several threads on one kernel: a fixed order of phases, each a number of chunks that whoever is free takes.

A chunk has a ticket, counted through all phases. A thread takes the next ticket, waits until all chunks of earlier
phases are done, does its chunk and takes the next. So a helper that the system starts late, or takes away to play
sound, costs no more than the chunk that it holds, and nobody waits for a helper that has not come. In a kernel waiting
threads spin for microseconds and then give way; between kernels they sleep. On a crowded machine the caller is alone.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import numpy as np
import torch
from numba import njit

from model.quant.processor.vector import atomic_add, atomic_read, give_way, pause

# Places in the counters, in bytes, two cache lines apart: next ticket, chunks done, the open call, helpers inside.
NEXT, DONE, OPEN, INSIDE, END = 0, 128, 256, 384, 512

SPINS = 1000  # before a waiting thread lets others on: some ten microseconds
CROWDED = 2.0  # programs for each processor from which on steps are made by one thread
CALLS_PER_LOOK = 200

Kernel = Callable[..., None]  # (address of the counters, its arguments...), all int64
Inbox = SimpleQueue[tuple[Kernel, int, tuple[int, ...]] | None]


@njit(nogil=True, cache=True)
def take(sync):
    """A thread's first ticket."""
    return atomic_add(sync + NEXT, 1)


@njit(nogil=True, cache=True)
def wait(sync, n_done):
    """Returns when that many chunks are done."""
    spins = 0
    while atomic_read(sync + DONE) < n_done:
        pause()
        spins += 1
        if spins > SPINS:  # who holds the chunk may wait for this very processor
            give_way()
            spins = 0


@njit(nogil=True, cache=True)
def finish(sync):
    """Counts a chunk as done and takes the next ticket."""
    atomic_add(sync + DONE, 1)
    return atomic_add(sync + NEXT, 1)


@njit(nogil=True, cache=True)
def _enter(sync, call):
    atomic_add(sync + INSIDE, 1)
    if atomic_read(sync + OPEN) == call:
        return True
    atomic_add(sync + INSIDE, -1)  # the call was finished without this helper
    return False


@njit(nogil=True, cache=True)
def _leave(sync):
    atomic_add(sync + INSIDE, -1)


@njit(nogil=True, cache=True)
def _close(sync, call):
    atomic_add(sync + OPEN, -call)
    while atomic_read(sync + INSIDE) > 0:
        pause()
        give_way()


class Team:
    """The calling thread and its helpers. `run` may be called from any thread, by one after the other."""

    def __init__(self, n_threads: int | None = None) -> None:
        """`n_threads`: all of the team's; by default as many as torch uses when the team first runs."""
        self._n_threads = n_threads
        self._memory = np.zeros(END + 64, np.uint8)
        skip = -self._memory.ctypes.data % 64
        self._counters = self._memory[skip : skip + END].view(np.int64)
        self._sync = int(self._counters.ctypes.data)
        self._call = 0
        self._lock = threading.Lock()
        self._crowded, self._until_look = False, 0
        self._inboxes: list[Inbox] | None = None

    @property
    def n_threads(self) -> int:
        """Threads that take part, the caller's included."""
        return torch.get_num_threads() if self._n_threads is None else self._n_threads

    def run(self, kernel: Kernel, *arguments: int, helpers: bool = True) -> None:
        """Runs the kernel and returns when all its chunks are done; `helpers`: it is long enough to share."""
        with self._lock:
            self._call += 1
            self._counters[[NEXT // 8, DONE // 8]] = 0
            self._counters[OPEN // 8] = self._call
            if helpers and not self._is_crowded():
                for inbox in self._helpers():
                    inbox.put((kernel, self._call, arguments))
            kernel(self._sync, *arguments)
            _close(self._sync, self._call)

    def _is_crowded(self) -> bool:
        """Whether so many other programs run that a thread would mostly wait for the other to be let on."""
        self._until_look -= 1
        if self._until_look < 0:
            self._until_look = CALLS_PER_LOOK
            self._crowded = _load() > CROWDED * (os.cpu_count() or 1)
        return self._crowded

    def _helpers(self) -> Sequence[Inbox]:
        if self._inboxes is None:
            self._inboxes = [SimpleQueue() for _ in range(self.n_threads - 1)]
            weakref.finalize(self, _stop, self._inboxes)
            for number, inbox in enumerate(self._inboxes):
                name = f"products-{number}"
                threading.Thread(target=_help, args=(inbox, self._sync), name=name, daemon=True).start()
        return self._inboxes


def _load() -> float:
    """Programs that want to run, over the last minute; 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _help(inbox: Inbox, sync: int) -> None:
    """A helper's life; it ends with None."""
    while (job := inbox.get()) is not None:
        kernel, call, arguments = job
        if _enter(sync, call):
            try:
                kernel(sync, *arguments)
            finally:
                _leave(sync)


def _stop(inboxes: Sequence[Inbox]) -> None:
    for inbox in inboxes:
        inbox.put(None)
