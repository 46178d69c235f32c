"""Listens to a microphone for a moment, for who wants to know whether it works."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Final

import numpy as np

from audio_io.blocks import BLOCK_SAMPLES, INSIDE_RATE_HZ, Block, Samples
from audio_io.errors import DeviceUnavailableError
from audio_io.events import DeviceLost, DeviceMissing, PartFailed, SourceEvent
from audio_io.host import SoundHost
from audio_io.microphone import Microphone

SECONDS: Final = 2.0
OPEN_LIMIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Heard:
    """samples: float32 [n] at 16 kHz, as the microphone gave them."""

    samples: Samples
    opposed: bool
    """Its channels cancel each other out, or only one of them has sound."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / INSIDE_RATE_HZ

    @property
    def loudest_dbfs(self) -> float:
        """Of 10 ms, root mean square."""
        blocks = self.samples[: len(self.samples) // BLOCK_SAMPLES * BLOCK_SAMPLES].reshape(-1, BLOCK_SAMPLES)
        power = float(np.square(blocks, dtype=np.float64).mean(axis=1).max()) if len(blocks) else 0.0
        return 10 * math.log10(max(power, 1e-10))


def listen(host: SoundHost, device: str | int | None = None, seconds: float = SECONDS) -> Heard:
    """Blocks for `seconds` and what opening takes. Raises DeviceUnavailableError."""
    blocks: list[Samples] = []
    problems: list[tuple[str, str]] = []
    over = threading.Event()
    n_wanted = round(seconds * INSIDE_RATE_HZ / BLOCK_SAMPLES)

    def on_block(block: Block) -> None:
        blocks.append(block.samples)
        if len(blocks) >= n_wanted:
            over.set()

    def on_event(event: SourceEvent) -> None:
        if isinstance(event, DeviceLost | DeviceMissing | PartFailed):
            problems.append((event.message, event.remedy))
            over.set()

    microphone = Microphone(host, device)
    microphone.start(on_block, on_event)
    over.wait(seconds + OPEN_LIMIT_S)
    microphone.stop()
    if not blocks:
        message, remedy = problems[0] if problems else ("The microphone gave nothing.", "Plug it in again.")
        raise DeviceUnavailableError(message, remedy)
    return Heard(np.concatenate(blocks), microphone.opposed)
