"""Server-side turn detection: where the user's speech begins and ends in a stream of sound.

The probabilities come from a detector that the composition root provides; this module only keeps the time line, the
padding and the hysteresis.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from model.realtime.config import VoiceActivity
from model.realtime.contract import Samples, VoiceDetector

RELEASE_BELOW_THRESHOLD = 0.15
"""Speech goes on while the probability stays above threshold minus this, as measured for silero-vad."""

START_HOPS = 4
START_VOICED_HOPS = 2
"""Speech begins when at least 2 of the last 4 hops are voiced: one click is not a turn."""


@dataclass(frozen=True, slots=True)
class SpeechBegins:
    """`at_ms`: on the session's time line, padding included. `pcm`: from there on."""

    at_ms: int
    pcm: Samples


@dataclass(frozen=True, slots=True)
class SpeechContinues:
    pcm: Samples


@dataclass(frozen=True, slots=True)
class SpeechEnds:
    at_ms: int


VadEvent: TypeAlias = SpeechBegins | SpeechContinues | SpeechEnds


class TurnFinder:
    """Cuts a stream of sound into turns. Time is samples pushed ÷ rate. One owning thread."""

    def __init__(self, settings: VoiceActivity, detector: VoiceDetector, rate_hz: int) -> None:
        self._settings = settings
        self._detector = detector
        self._rate_hz = rate_hz
        self._recent: deque[bool] = deque(maxlen=START_HOPS)
        self._padding = np.zeros(0, np.float32)
        self._n_samples = 0
        self._quiet_s = 0.0
        self.speaking = False

    @property
    def now_ms(self) -> int:
        return self._n_samples * 1000 // self._rate_hz

    def push(self, pcm: Samples) -> list[VadEvent]:
        """What this sound (mono float32 [n]) begins, continues and ends."""
        step = max(1, round(self._detector.hop_s * self._rate_hz))
        return [event for start in range(0, len(pcm), step) for event in self._push_hop(pcm[start : start + step])]

    def end_turn(self) -> None:
        """The client has committed or cleared: what comes next is a new turn. The time line goes on."""
        self.speaking = False
        self._recent.clear()
        self._padding = np.zeros(0, np.float32)

    def _push_hop(self, pcm: Samples) -> list[VadEvent]:
        self._n_samples += len(pcm)
        events: list[VadEvent] = []
        if self.speaking:
            events.append(SpeechContinues(pcm))
        else:
            self._pad(pcm)
        for probability in self._detector.push(pcm):
            events.extend(self._hop(probability))
        return events

    def _hop(self, probability: float) -> list[VadEvent]:
        self._recent.append(probability >= self._settings.threshold)
        if not self.speaking:
            if sum(self._recent) < START_VOICED_HOPS:
                return []
            self.speaking = True
            self._quiet_s = 0.0
            padding, self._padding = self._padding, np.zeros(0, np.float32)
            return [SpeechBegins((self._n_samples - len(padding)) * 1000 // self._rate_hz, padding)]
        if probability >= self._settings.threshold - RELEASE_BELOW_THRESHOLD:
            self._quiet_s = 0.0
            return []
        self._quiet_s += self._detector.hop_s
        if self._quiet_s * 1000 < self._settings.silence_duration_ms:
            return []
        self.end_turn()
        return [SpeechEnds(self.now_ms)]

    def _pad(self, pcm: Samples) -> None:
        """Keeps the padding plus the hops that it takes to be sure of a start."""
        keep_s = self._settings.prefix_padding_ms / 1000 + START_HOPS * self._detector.hop_s
        self._padding = np.concatenate([self._padding, pcm])[-max(1, round(keep_s * self._rate_hz)) :]
