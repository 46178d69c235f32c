"""Where the time of a reply goes, measured from the arrival of the user's last voiced sample. Owned by the Assistant.

Fed with what happens and when; sound times are those of the microphone's sound, everything else the Assistant's clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from app.view import Latency

KEPT_BLOCKS = 1000
"""Arrival times of microphone sound that are remembered: 10 s."""
KEPT_REPLIES = 8


@dataclass
class _Marks:
    utterance: int | None
    commit_s: float
    first_text_s: float | None = None
    first_speech_s: float | None = None


class LatencyMeter:
    def __init__(self) -> None:
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=KEPT_BLOCKS)  # (time in the sound, clock)
        self._ends: dict[int, tuple[float, float]] = {}  # utterance -> (last voice, segment end), both by the clock
        self._marks: dict[int, _Marks] = {}
        self._numbers = 0

    def sound_arrived(self, sound_s: float, now_s: float) -> None:
        self._arrivals.append((sound_s, now_s))

    def utterance_ended(self, utterance: int, voice_end_s: float, now_s: float) -> None:
        """`voice_end_s`: time in the sound of the last voice."""
        # Sound that arrived before the voice ended is the latest that can hold it.
        before = [clock for sound, clock in self._arrivals if sound <= voice_end_s]
        self._ends[utterance] = (before[-1] if before else now_s, now_s)
        for old in sorted(self._ends)[:-KEPT_REPLIES]:
            del self._ends[old]

    def reply_asked(self, reply: int, utterance: int | None, now_s: float) -> None:
        self._marks[reply] = _Marks(utterance, now_s)
        for old in sorted(self._marks)[:-KEPT_REPLIES]:
            del self._marks[old]

    def text_arrived(self, reply: int, now_s: float) -> None:
        marks = self._marks.get(reply)
        if marks is not None and marks.first_text_s is None:
            marks.first_text_s = now_s

    def speech_arrived(self, reply: int, now_s: float) -> None:
        marks = self._marks.get(reply)
        if marks is not None and marks.first_speech_s is None:
            marks.first_speech_s = now_s

    def playback_started(self, reply: int, now_s: float) -> Latency | None:
        """The whole breakdown; None for a reply that is not known (a repeated one). For typed turns time runs from the
        commit."""
        marks = self._marks.pop(reply, None)
        if marks is None:
            return None
        ends = self._ends.get(marks.utterance) if marks.utterance is not None else None
        zero_s = ends[0] if ends is not None else marks.commit_s

        def since(moment_s: float | None) -> float | None:
            return None if moment_s is None else round((moment_s - zero_s) * 1000, 1)

        self._numbers += 1
        return Latency(
            turn=self._numbers,
            segment_end_ms=since(ends[1]) if ends is not None else None,
            commit_ms=since(marks.commit_s),
            first_text_ms=since(marks.first_text_s),
            first_speech_ms=since(marks.first_speech_s),
            first_sample_ms=since(now_s),
        )
