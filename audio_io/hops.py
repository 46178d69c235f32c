"""silero over a stream of any rate: what the engine uses when it is asked to find the user's turns itself."""

from __future__ import annotations

from typing import Final

import numpy as np

from audio_io.blocks import INSIDE_RATE_HZ, Samples
from audio_io.resample import Resampler
from audio_io.vad import NEURAL_SAMPLES, NeuralDetector


class HopDetector:
    """The probability of speech for every 32 ms of a stream. Raises PackageMissingError where silero is missing."""

    hop_s: Final = NEURAL_SAMPLES / INSIDE_RATE_HZ

    def __init__(self, rate_hz: int) -> None:
        self._detector = NeuralDetector()
        self._resampler = None if rate_hz == INSIDE_RATE_HZ else Resampler(rate_hz, INSIDE_RATE_HZ)
        self._rest = np.zeros(0, np.float32)

    def push(self, pcm: Samples) -> list[float]:
        """Mono float32 [n] in any chunks; one probability for each hop that is complete."""
        inside = pcm if self._resampler is None else self._resampler.push(pcm)
        self._rest = np.concatenate([self._rest, inside])
        n_hops = len(self._rest) // NEURAL_SAMPLES
        hops = self._rest[: n_hops * NEURAL_SAMPLES].reshape(n_hops, NEURAL_SAMPLES)
        self._rest = self._rest[n_hops * NEURAL_SAMPLES :]
        return [self._detector.probability(hop) for hop in hops]
