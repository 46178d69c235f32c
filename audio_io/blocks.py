"""The sound that flows inside the app: mono float32, 16 kHz, blocks of 10 ms.

Every other length in this package is derived from the constants here, in exact integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audio_io.events import SourceEvent

Samples = NDArray[np.float32]

INSIDE_RATE_HZ = 16_000
"""Rate of everything between the microphone's resampler and the engine."""
SPEECH_RATE_HZ = 24_000
"""Rate of the replies that the player takes."""
BLOCK_MS = 10
BLOCK_SAMPLES = INSIDE_RATE_HZ * BLOCK_MS // 1000
BLOCK_S = BLOCK_MS / 1000
SILENT_BLOCK: Samples = np.zeros(BLOCK_SAMPLES, dtype=np.float32)
SILENT_BLOCK.flags.writeable = False


def seconds_to_blocks(seconds: float, at_least: int = 0) -> int:
    """Number of 10 ms blocks nearest to `seconds`, never below `at_least`."""
    return max(at_least, round(seconds * 1000 / BLOCK_MS))


@dataclass(frozen=True, slots=True)
class Block:
    """10 ms of sound: float32 [160] in -1..1. Sample `number * 160` of the source is its first."""

    samples: Samples
    number: int
    captured_at_s: float | None = None
    """When the first sample reached the microphone, in seconds of `time.monotonic`; None without a device."""

    @property
    def at_s(self) -> float:
        """Time of the first sample: samples since the source started, over the rate."""
        return self.number * BLOCK_MS / 1000


class BlockSource(Protocol):
    """A microphone, or something that stands for one. `on_block` and `on_event` are called from its own thread."""

    def start(self, on_block: Callable[[Block], None], on_event: Callable[[SourceEvent], None]) -> None: ...

    def stop(self) -> None:
        """Ends the thread and frees the device. May be called twice."""
        ...
