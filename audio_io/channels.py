"""One channel of several: their mean, unless they cancel each other out or only one of them has sound."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

KEPT_OF_LOUDER: Final = 0.35
"""Least share of the louder channel's power that the mean must keep. Equal channels keep all of it, two different ones
half, one beside a dead one a quarter, and two in opposite phase nothing."""
FOLLOW_S: Final = 0.5
"""The powers are averaged over about so long: no switching inside a word."""
QUIET: Final = 1e-12
"""Power of silence: then nothing is decided."""


class ChannelMixer:
    """float32 [n, channels] to [n]. One per opened stream, owned by its thread."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._powers: NDArray[np.float64] | None = None
        self._mixed_power = 0.0
        self.opposed = False
        """The channels cancel each other out (or all but one are dead): the louder one is taken."""

    def mix(self, captured: Samples) -> Samples:
        if captured.shape[1] == 1 or not len(captured):
            return captured[:, 0]
        mean: Samples = captured.mean(axis=1, dtype=np.float32)
        powers = np.square(captured, dtype=np.float64).mean(axis=0)
        mixed_power = float(np.square(mean, dtype=np.float64).mean())
        if self._powers is None:
            self._powers, self._mixed_power = powers, mixed_power
        else:
            weight = min(1.0, len(captured) / (FOLLOW_S * self._rate_hz))
            self._powers = self._powers + weight * (powers - self._powers)
            self._mixed_power += weight * (mixed_power - self._mixed_power)
        loudest = int(np.argmax(self._powers))
        power = float(self._powers[loudest])
        if power > QUIET:
            self.opposed = self._mixed_power < KEPT_OF_LOUDER * power
        return captured[:, loudest] if self.opposed else mean
