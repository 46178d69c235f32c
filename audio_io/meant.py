"""Is it a voice, and is it the user's? What is known of an utterance besides its words.

A thump or a squeaking door may look like a voice for a moment, but silero is never sure of it, while it is of every
short word. Somebody across the room, or a quiet television, is a voice, but much quieter than the one who has been
talking.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from audio_io.blocks import BLOCK_S, Samples
from audio_io.gain import loudness

FAR_DB: Final = 15.0
"""So much below the user's usual loudness somebody is another. Turning away costs about 6 dB, a step back 3 to 6."""
_REMEMBERED: Final = 8
_LEAST: Final = 2
"""Utterances after which the usual loudness is known."""
_FADE_DB_PER_S: Final = 1.0 / 60
_FADED_DB: Final = 12.0
"""With every silent minute somebody 1 dB quieter is let in, so that who has moved away is heard again."""
_RECENT_BLOCKS: Final = round(0.2 / BLOCK_S)
_LOUD_SHARE: Final = 90
"""An utterance is as loud as the loudest tenth of its blocks."""


def decibels(level: float) -> float:
    return 20 * float(np.log10(max(level, 1e-6)))


@dataclass
class Evidence:
    """What speaks for one utterance; fed with silero's chunks of 32 ms and blocks of 10 ms, before any gain."""

    sure_chunks: int = 0
    levels: list[float] = field(default_factory=list)

    def level_db(self) -> float:
        return decibels(float(np.percentile(self.levels, _LOUD_SHARE))) if self.levels else -120.0


class Nearness:
    """How loud the user usually is, and whether what is heard now comes from as near. Owned by the segmenter."""

    def __init__(self) -> None:
        self._usual_db: deque[float] = deque(maxlen=_REMEMBERED)
        self._recent: deque[float] = deque(maxlen=_RECENT_BLOCKS)
        self._silent_blocks = 0

    def hear(self, block: Samples) -> float:
        """Every block, whether anybody speaks or not; returns how loud it is."""
        level = loudness(block)
        self._recent.append(level)
        self._silent_blocks += 1
        return level

    def is_near(self) -> bool:
        """True also while nothing is known of the user."""
        if len(self._usual_db) < _LEAST:
            return True
        faded_db = min(_FADED_DB, self._silent_blocks * BLOCK_S * _FADE_DB_PER_S)
        return decibels(max(self._recent)) >= float(np.median(self._usual_db)) - FAR_DB - faded_db

    def learn(self, evidence: Evidence) -> None:
        """This utterance was the user's."""
        self._usual_db.append(evidence.level_db())
        self._silent_blocks = 0
