"""The sound of the user's utterances, kept until the conversation has no more use for it. Owned by the Assistant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
PIECE_SAMPLES = RATE_HZ * 40 // 1000
"""Sound goes to the engine in pieces of 40 ms."""
MAX_SAMPLES = RATE_HZ * 180
"""Longest utterance that is kept; the rest of a longer one is lost and counted."""
MAX_KEPT = 8
"""Utterances kept at a time. Overflow: the oldest is forgotten."""

Samples = NDArray[np.float32]


@dataclass
class _Sound:
    pieces: list[Samples] = field(default_factory=list)
    n_samples: int = 0
    n_sent: int = 0
    streaming: bool = False


class Sounds:
    """`send` gets float32 [n] at 16 kHz, in order, for the engine's input buffer."""

    def __init__(self, send: Callable[[Samples], None]) -> None:
        self._send = send
        self._sounds: dict[int, _Sound] = {}
        self.lost_samples = 0

    def begin(self, utterance: int) -> None:
        self._sounds[utterance] = _Sound()
        while len(self._sounds) > MAX_KEPT:
            del self._sounds[min(self._sounds)]

    def add(self, utterance: int, samples: Samples) -> None:
        """Ignored for an utterance that was dropped."""
        sound = self._sounds.get(utterance)
        if sound is None:
            return
        if sound.n_samples + len(samples) > MAX_SAMPLES:
            self.lost_samples += len(samples)
            return
        sound.pieces.append(samples)
        sound.n_samples += len(samples)
        if sound.streaming and sound.n_samples - sound.n_sent >= PIECE_SAMPLES:
            self._send_rest(sound)

    def take_lost_ms(self) -> float:
        """What was lost since the last call."""
        lost, self.lost_samples = self.lost_samples, 0
        return lost * 1000 / RATE_HZ

    def begun(self, utterance: int) -> bool:
        """The engine has some of it."""
        sound = self._sounds.get(utterance)
        return sound is not None and sound.n_sent > 0

    def stream(self, utterance: int) -> None:
        sound = self._sounds.get(utterance)
        if sound is not None:
            sound.streaming = True
            self._send_rest(sound)

    def hold(self, utterance: int) -> None:
        """Sends what is left and no more."""
        sound = self._sounds.get(utterance)
        if sound is not None and sound.streaming:
            self._send_rest(sound)
            sound.streaming = False

    def rewind(self, utterance: int) -> None:
        sound = self._sounds.get(utterance)
        if sound is not None:
            sound.n_sent = 0
            sound.streaming = False

    def drop(self, utterance: int) -> None:
        self._sounds.pop(utterance, None)

    def _send_rest(self, sound: _Sound) -> None:
        if sound.n_sent == sound.n_samples:
            return
        unsent: list[Samples] = []
        left = sound.n_samples - sound.n_sent
        for piece in reversed(sound.pieces):
            unsent.append(piece[-left:])
            left -= len(piece)
            if left <= 0:
                break
        self._send(np.concatenate(unsent[::-1]))
        sound.n_sent = sound.n_samples
