"""What the speaker plays, for the echo canceller: the speaker's callback writes, the microphone's thread reads."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from audio_io.blocks import BLOCK_SAMPLES, INSIDE_RATE_HZ, SILENT_BLOCK, Samples
from audio_io.clocks import SampleClock
from audio_io.resample import Resampler
from audio_io.ring import SampleRing, StampRing

RING_S: Final = 2.0
HISTORY_SAMPLES: Final = 3 * INSIDE_RATE_HZ
"""On a computer that is several times overloaded the microphone's sound was 1.1 s old when it came."""
LEAD_S: Final = 0.04
"""The reference runs ahead of the sound by this: devices' time stamps are off by so much, and a canceller can model
a longer way from speaker to microphone but not a negative one."""
SLIP_SAMPLES: Final = INSIDE_RATE_HZ * 15 // 1000
"""The alignment is left alone while it is right within this, because every slip makes the canceller learn anew."""


class Reference(Protocol):
    """What the listener asks for each block of the microphone."""

    def block_for(self, captured_at_s: float | None) -> Samples:
        """float32 [160] at 16 kHz: what was audible then."""
        ...

    def covers(self, captured_at_s: float | None) -> bool:
        """False while it is worth waiting for what was audible then."""
        ...

    def is_echo(self, near: Samples) -> bool:
        """float32 [160] of the microphone, for the block that was asked for last: is it what another program plays?"""
        ...


class Playback:
    """One opened speaker stream, as the callback sees it."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.ring = SampleRing(round(RING_S * rate_hz))
        self.stamps = StampRing()

    def write(self, mono: Samples, at_s: float) -> None:
        """Callback: float32 [n, 1], whose first sample leaves the speaker at `at_s` (`time.monotonic`)."""
        position = self.ring.written
        if self.ring.write(mono) == len(mono):
            self.stamps.write(position, at_s)


class EchoReference:
    """Hands the microphone's thread the block that was audible when a microphone block was captured."""

    def __init__(self, lead_s: float = LEAD_S) -> None:
        self._lead_s = lead_s
        self._playback: Playback | None = None
        self._current: Playback | None = None
        self._next: int | None = None
        self.slips = 0
        """Times the alignment was changed."""

    def open(self, rate_hz: int) -> Playback:
        """Speaker: begins a new stream."""
        self._playback = playback = Playback(rate_hz)
        return playback

    def close(self) -> None:
        self._playback = None

    def block_for(self, captured_at_s: float | None) -> Samples:
        """Microphone's thread: float32 [160] at 16 kHz; silence where nothing was played or the time is unknown."""
        if not self._pull() or captured_at_s is None or not self._clock.is_set:
            return SILENT_BLOCK
        wanted = self._index(captured_at_s)
        if self._next is None or abs(wanted - self._next) > SLIP_SAMPLES:
            self.slips += self._next is not None
            self._next = wanted
        block = self._cut(self._next)
        self._next += BLOCK_SAMPLES
        return block

    def covers(self, captured_at_s: float | None) -> bool:
        """Microphone's thread: False while the sound of this block has not come yet and may still come."""
        if not self._pull() or captured_at_s is None or not self._clock.is_set:
            return True
        return self._index(captured_at_s) + BLOCK_SAMPLES <= self._history_at + len(self._history)

    def knows(self, captured_at_s: float | None) -> bool:
        """Whether the sound of this block is there; False too for one so old that it is forgotten."""
        if not self._pull() or captured_at_s is None or not self._clock.is_set:
            return False
        index = self._index(captured_at_s)
        return self._history_at <= index and index + BLOCK_SAMPLES <= self._history_at + len(self._history)

    def is_echo(self, near: Samples) -> bool:
        """Never: of what other programs play nothing is known here."""
        del near
        return False

    def _index(self, captured_at_s: float) -> int:
        """Index at 16 kHz of the sample that was audible then."""
        position = self._clock.position_at(captured_at_s + self._lead_s)
        return round(position * INSIDE_RATE_HZ / self._clock.rate_hz)

    def _pull(self) -> bool:
        """Takes what has been played since the last look; False when nothing is."""
        playback = self._playback
        if playback is None:
            self._current = None
            return False
        if playback is not self._current:
            self._current = playback
            self._clock = SampleClock(playback.rate_hz)
            self._resampler = Resampler(playback.rate_hz, INSIDE_RATE_HZ)
            self._stamps_seen = 0
            self._history: Samples = np.zeros(0, dtype=np.float32)
            self._history_at = 0  # index at 16 kHz of the history's first sample
            self._next = None
        self._clock.add(playback.stamps.since(self._stamps_seen))
        self._stamps_seen = max(self._stamps_seen, playback.stamps.written - 1)
        new = self._resampler.push(playback.ring.read()[:, 0])
        if not len(new):
            return True
        self._history = np.concatenate((self._history, new))
        surplus = len(self._history) - HISTORY_SAMPLES
        if surplus > 0:
            self._history = self._history[surplus:]
            self._history_at += surplus
        return True

    def _cut(self, index: int) -> Samples:
        """The history at [index, index + 160); zeros where it is not known (any more or yet)."""
        block: Samples = np.zeros(BLOCK_SAMPLES, dtype=np.float32)
        first = max(index, self._history_at)
        end = min(index + BLOCK_SAMPLES, self._history_at + len(self._history))
        if end > first:
            block[first - index : end - index] = self._history[first - self._history_at : end - self._history_at]
        return block
