"""Ring buffers between a device's callback and a worker thread: one producer, one consumer, no locks.

The producer alone advances `written`, the consumer alone advances `read_count`; both are plain integers that only grow,
so each side sees either the old or the new value of the other's, and both are safe. Nothing is allocated after
construction but small integers and array views.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


class SampleRing:
    """Holds up to `capacity` samples of `channels` channels, float32 [capacity, channels].

    What does not fit is refused and counted (`overflow_samples`): the consumer never sees a sample change under it.
    """

    def __init__(self, capacity: int, channels: int = 1) -> None:
        if capacity < 1 or channels < 1:
            raise ValueError(f"a ring needs at least one sample and one channel, not {capacity} x {channels}")
        self.capacity = capacity
        self._data: Samples = np.zeros((capacity, channels), dtype=np.float32)
        self.written = 0
        """Samples ever written; changed by the producer only."""
        self.read_count = 0
        """Samples ever read or skipped; changed by the consumer only."""
        self.overflow_samples = 0
        """Samples refused because the ring was full; changed by the producer only."""

    def __len__(self) -> int:
        """Samples ready to read. For the consumer a lower bound, for the producer an upper one."""
        return self.written - self.read_count

    @property
    def free(self) -> int:
        return self.capacity - len(self)

    def write(self, samples: Samples) -> int:
        """Producer: copies in float32 [n, channels] as far as it fits; returns how many samples were taken."""
        offered = len(samples)
        n = min(offered, self.free)
        start = self.written % self.capacity
        first = min(n, self.capacity - start)
        self._data[start : start + first] = samples[:first]
        if n > first:
            self._data[: n - first] = samples[first:n]
        self.written += n  # last: publishes the data
        if n < offered:
            self.overflow_samples += offered - n
        return n

    def read_into(self, out: Samples) -> int:
        """Consumer: fills the head of `out` [n, channels]; returns how many samples there were (0..n)."""
        n = min(len(out), len(self))
        start = self.read_count % self.capacity
        first = min(n, self.capacity - start)
        out[:first] = self._data[start : start + first]
        if n > first:
            out[first:n] = self._data[: n - first]
        self.read_count += n  # last: gives the room back
        return n

    def read(self) -> Samples:
        """Consumer: everything there is, in a new array [n, channels]."""
        out: Samples = np.empty((len(self), self._data.shape[1]), dtype=np.float32)
        return out[: self.read_into(out)]

    def skip_to(self, position: int) -> None:
        """Consumer: throws away what lies before absolute sample `position` (never goes back, nor past the end)."""
        self.read_count = max(self.read_count, min(position, self.written))


class StampRing:
    """The last `capacity` (position, time) pairs of a stream. One producer; a reader may miss overwritten pairs."""

    def __init__(self, capacity: int = 256) -> None:
        self._data: NDArray[np.float64] = np.zeros((capacity, 2), dtype=np.float64)
        self.written = 0

    def write(self, position: float, at_s: float) -> None:
        row = self._data[self.written % len(self._data)]
        row[0] = position
        row[1] = at_s
        self.written += 1

    def since(self, count: int) -> NDArray[np.float64]:
        """Copies of the pairs [n, 2] written after the first `count`, oldest first, as far as they are still there.

        One pair less than fits, so that the pair being overwritten meanwhile is never among them.
        """
        newest = self.written
        oldest = max(count, newest - len(self._data) + 1)
        return self._data[np.arange(oldest, newest) % len(self._data)]
