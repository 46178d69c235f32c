"""Relating the sample count of a device to the computer's clock, although each single time stamp jitters."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SETTLE_COUNT = 50
"""Stamps averaged evenly at first (the first ones of a sound server are off by up to half a second)."""
FOLLOW = 1 / 500
"""Weight of a stamp afterwards: follows 100 ppm of drift with well under 1 ms of lag at 100 stamps a second."""
JUMP_S = 0.03
"""Stamps this far off the estimate begin a new one if so many in a row are off to the same side: the device has
skipped or repeated sound. Single stamps jitter by less or come back at once."""
JUMP_COUNT = 15


class SampleClock:
    """Estimates the time at which sample 0 passed the converter. Owned by one thread."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._origin_s = math.nan
        self._count = 0
        self._strays = 0

    @property
    def is_set(self) -> bool:
        return self._count > 0

    def add(self, stamps: NDArray[np.float64]) -> None:
        """Takes pairs [n, 2] of sample position and time in seconds."""
        for position, at_s in stamps:
            origin_s = float(at_s) - float(position) / self.rate_hz
            off_s = origin_s - self._origin_s if self._count else 0.0
            if abs(off_s) > JUMP_S:
                side = 1 if off_s > 0 else -1
                self._strays = self._strays + side if self._strays * side > 0 else side
                if abs(self._strays) < JUMP_COUNT:
                    continue
                self._count = 0
            self._strays = 0
            weight = max(FOLLOW, 1 / (self._count + 1)) if self._count < SETTLE_COUNT else FOLLOW
            self._origin_s = origin_s if self._count == 0 else self._origin_s + weight * (origin_s - self._origin_s)
            self._count += 1

    def time_of(self, position: float) -> float:
        """Time in seconds at which sample `position` passes the converter (nan before the first stamp)."""
        return self._origin_s + position / self.rate_hz

    def position_at(self, at_s: float) -> float:
        return (at_s - self._origin_s) * self.rate_hz
