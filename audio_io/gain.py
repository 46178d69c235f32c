"""Automatic gain: how much quiet speech is raised, for the detectors and for whoever gets the utterance."""

from __future__ import annotations

from typing import Final

import numpy as np

from audio_io.blocks import BLOCK_S, Samples

MOST: Final = 10 ** (24 / 20)
"""24 dB: speech of -55 dBFS is then as loud as that of a careful speaker at arm's length."""
LOUD: Final = 10 ** (-30 / 20)
"""Root mean square of 10 ms of speech that needs no gain."""
_HALVES_EVERY_S: Final = 1.0
_DECAY: Final = 0.5 ** (BLOCK_S / _HALVES_EVERY_S)


def loudness(block: Samples) -> float:
    """Root mean square of float32 [n]."""
    return float(np.sqrt(np.dot(block, block) / max(1, len(block))))


def gain_for(level: float) -> float:
    """1 for what is loud enough, at most MOST."""
    return min(MOST, max(1.0, LOUD / max(level, 1e-9)))


class Follower:
    """The gain for what comes, from the loudest of the last second or so."""

    def __init__(self) -> None:
        self._level = 0.0

    def follow(self, block: Samples) -> float:
        self._level = max(loudness(block), self._level * _DECAY)
        return gain_for(self._level)


class UtteranceGain:
    """One gain for an utterance, set by its first sound; it only falls, where the speaker gets louder."""

    def __init__(self, first: list[Samples]) -> None:
        self._gain = gain_for(max((loudness(block) for block in first), default=0.0))

    def apply(self, block: Samples) -> Samples:
        before = self._gain
        self._gain = min(before, gain_for(loudness(block)))
        if before == 1.0:
            return block
        if self._gain == before:
            raised: Samples = block * np.float32(before)
        else:
            raised = block * np.linspace(before, self._gain, len(block), dtype=np.float32)
        return np.clip(raised, -1.0, 1.0)
