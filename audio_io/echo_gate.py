"""The last word on what other programs play: what rises and falls like it in the microphone is its echo.

The canceller needs the echo's way and delay. Until it has them, and whenever a busy computer shifts the sound by some
tens of ms, a screen reader's first words get through it. Their loudness over time gives them away at any delay.
Sightline's own replies do not come here: the user must be able to speak into them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio_io.blocks import Samples, seconds_to_blocks

WINDOW: Final = seconds_to_blocks(0.5)
"""Of the microphone's loudness that is compared."""
LAGS: Final = seconds_to_blocks(0.4)
"""The echo may come so much later than its sound was handed out."""
ALIKE: Final = 0.8
"""Correlation of the two courses of loudness, in dB, above which they are the same sound."""
LIVELY_DB: Final = 3.0
"""Standard deviation below which a course of loudness says nothing."""
FLOOR: Final = 1e-7
"""Power below which a block counts as silence (-70 dBFS)."""
ACTIVE: Final = 1e-5
"""Power of a block that can be heard (-50 dBFS)."""
HOLD: Final = seconds_to_blocks(0.25)
"""So long after the last likeness nothing passes: speech goes on between two looks."""


class EchoGate:
    """Owned by the microphone's thread. `passes` takes each block once."""

    def __init__(self) -> None:
        self._near: NDArray[np.float64] = np.full(WINDOW, np.log10(FLOOR) * 10)
        self._far: NDArray[np.float64] = np.full(WINDOW + LAGS, np.log10(FLOOR) * 10)
        self._hold = 0
        self._since_active = WINDOW + LAGS

    def passes(self, near: Samples, far: Samples) -> bool:
        """float32 [160] of the microphone, and of what other programs played; False where it is that."""
        self._near = np.append(self._near[1:], _loudness_db(near))
        self._far = np.append(self._far[1:], _loudness_db(far))
        self._since_active = 0 if float(np.dot(far, far)) / len(far) > ACTIVE else self._since_active + 1
        self._hold = max(0, self._hold - 1)
        if self._since_active > LAGS:
            return True
        if self._alike():
            self._hold = HOLD
        return self._hold == 0

    def _alike(self) -> bool:
        near = self._near - self._near.mean()
        spread = float(np.sqrt(np.mean(near**2)))
        if spread < LIVELY_DB:
            return False
        windows = np.lib.stride_tricks.sliding_window_view(self._far, WINDOW)  # [LAGS + 1, WINDOW]
        centred = windows - windows.mean(axis=1, keepdims=True)
        norms = np.sqrt((centred**2).sum(axis=1))
        lively = norms > LIVELY_DB * np.sqrt(WINDOW)
        if not lively.any():
            return False
        likeness = centred[lively] @ near / (norms[lively] * spread * np.sqrt(WINDOW))
        return bool(likeness.max() > ALIKE)


def _loudness_db(block: Samples) -> float:
    return 10 * float(np.log10(max(float(np.dot(block, block)) / len(block), FLOOR)))
