"""Speaks faster or slower without a change of pitch: WSOLA (Verhelst & Roelands, ICASSP 1993), as a stream."""

from __future__ import annotations

import numpy as np

from audio_io.blocks import SPEECH_RATE_HZ, Samples

OVERLAP = SPEECH_RATE_HZ * 15 // 1000
"""Samples of one cross-fade: longer than the period of the deepest voice."""
SEARCH = SPEECH_RATE_HZ * 8 // 1000
"""How far from its place a piece may be taken, either way, to fit the one before."""
SLOWEST, FASTEST = 0.5, 3.0


class Stretch:
    """Mono float32 at 24 kHz. At rate 1.0 samples pass through unchanged and without delay."""

    def __init__(self, rate: float = 1.0) -> None:
        self._input: Samples = np.empty(0, dtype=np.float32)
        self._input_at = 0  # source index of the buffer's first sample
        self.position = 0
        """Source index at which the output made so far ends."""
        self._ideal = 0.0  # source index at which the next piece should begin, by the rate alone
        self._fade_in = (0.5 - 0.5 * np.cos(np.pi * (np.arange(OVERLAP) + 0.5) / OVERLAP)).astype(np.float32)
        self.rate = rate

    @property
    def rate(self) -> float:
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if not SLOWEST <= rate <= FASTEST:
            raise ValueError(f"the rate of speech must lie in {SLOWEST}..{FASTEST}, not {rate}")
        self._rate = rate
        self._ideal = float(self.position)

    def push(self, samples: Samples, last: bool = False) -> Samples:
        """Takes float32 [n]; returns what is ready; `last` hands out the rest."""
        self._input = np.concatenate((self._input, np.asarray(samples, dtype=np.float32)))
        if self._rate == 1.0:
            return self._take_rest()
        pieces: list[Samples] = []
        end = self._input_at + len(self._input)
        while True:
            ideal = self._ideal + self._rate * OVERLAP
            first = round(ideal) - SEARCH
            if max(first + 2 * SEARCH, self.position) + 2 * OVERLAP > end:
                break
            pieces.append(self._piece(max(first, self._input_at), round(ideal) + SEARCH))
            self._ideal = ideal
        if last:
            pieces.append(self._take_rest())
        else:
            self._drop_before(min(self.position, round(self._ideal) - SEARCH))
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.float32)

    def _piece(self, first: int, final: int) -> Samples:
        """One cross-fade from the natural continuation to the piece in [first, final] that resembles it most."""
        here = self.position - self._input_at
        natural = self._input[here : here + OVERLAP]
        zone = self._input[first - self._input_at : final - self._input_at + OVERLAP]
        likeness = np.correlate(zone, natural, mode="valid")
        energy = np.cumsum(np.concatenate(([0.0], zone.astype(np.float64) ** 2)))
        energy = energy[OVERLAP:] - energy[:-OVERLAP]
        best = first + int(np.argmax(likeness / np.sqrt(energy + 1e-9)))
        start = best - self._input_at
        self.position = best + OVERLAP
        return natural + self._fade_in * (self._input[start : start + OVERLAP] - natural)

    def _take_rest(self) -> Samples:
        rest = self._input[self.position - self._input_at :]
        self.position += len(rest)
        self._ideal = float(self.position)
        self._drop_before(self.position)
        return rest

    def _drop_before(self, index: int) -> None:
        n = min(len(self._input), max(0, index - self._input_at))
        self._input = self._input[n:]
        self._input_at += n
