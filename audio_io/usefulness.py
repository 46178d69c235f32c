"""Whether a microphone can be of use: it runs, but gives no sound, or next to none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from audio_io.blocks import BLOCK_SAMPLES, Samples, seconds_to_blocks

Fault = Literal["", "silent", "too quiet"]

NEVER_S: Final = 4.0
"""Digital silence from the start is said after so long."""
STOPPED_S: Final = 20.0
"""After there was sound: some microphones with noise suppression are silent while nobody speaks."""
QUIET_S: Final = 15.0
TOO_QUIET: Final = 10 ** (-80 / 20)
"""Root mean square of 100 ms. With 24 dB of automatic gain it is -56 dBFS: below that nothing is understood. The noise
of a working microphone in a quiet room lies above."""
STEP_BLOCKS: Final = seconds_to_blocks(0.1)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to tell the user about a fault."""

    message: str
    remedy: str


ADVICE: Final[dict[Fault, Advice]] = {
    "silent": Advice(
        "The microphone gives no sound at all.",
        "It may be muted: look at the system's sound settings and at the microphone itself, or choose another one.",
    ),
    "too quiet": Advice(
        "The microphone is far too quiet.",
        "Turn it up in the system's sound settings, come closer, or choose another one.",
    ),
}


class Usefulness:
    """Fed with the microphone's own blocks, before anything is done to them. Owned by the microphone's thread."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another microphone, or the same one again."""
        self.fault: Fault = ""
        self._had_sound = False
        self._silent_blocks = 0
        self._quiet_blocks = 0
        self._step_power = 0.0
        self._step_blocks = 0

    def feed(self, block: Samples) -> bool:
        """float32 [160]; True when `fault` has changed."""
        before = self.fault
        # A constant is silence too: some devices have an offset.
        silent = bool(np.ptp(block) == 0.0)
        self._silent_blocks = self._silent_blocks + 1 if silent else 0
        self._had_sound = self._had_sound or not silent
        if not silent:  # silence has its own rule
            self._step_power += float(np.dot(block - block.mean(), block))
            self._step_blocks += 1
        if self._step_blocks == STEP_BLOCKS:
            loud = self._step_power / (STEP_BLOCKS * BLOCK_SAMPLES) > TOO_QUIET**2
            self._quiet_blocks = 0 if loud else self._quiet_blocks + STEP_BLOCKS
            self._step_power, self._step_blocks = 0.0, 0
        if self._silent_blocks >= seconds_to_blocks(STOPPED_S if self._had_sound else NEVER_S):
            self.fault = "silent"
        elif self._quiet_blocks == 0:
            self.fault = ""
        elif self._quiet_blocks >= seconds_to_blocks(QUIET_S) and self._had_sound and not silent:
            self.fault = "too quiet"
        return self.fault != before


def judge(sound: Samples) -> Fault:
    """Of a recording, float32 [n] at 16 kHz: the same rules without their waiting times."""
    if not len(sound) or float(np.ptp(sound)) == 0.0:
        return "silent"
    n = len(sound) // (STEP_BLOCKS * BLOCK_SAMPLES)
    if n == 0:
        return ""
    steps = sound[: n * STEP_BLOCKS * BLOCK_SAMPLES].reshape(n, -1)
    centred = steps - steps.mean(axis=1, keepdims=True)
    return "" if float(np.square(centred, dtype=np.float64).mean(axis=1).max()) > TOO_QUIET**2 else "too quiet"
