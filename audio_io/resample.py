"""Resampling of a stream, piece by piece, with under 3 ms of delay.

soxr's streams hold back 20 to 37 ms between the rates of sound cards and ours (LQ and HQ, measured; up to 175 ms from
8 kHz), which every reply and every interruption would pay. A polyphase filter as long as speech needs does not.
"""

from __future__ import annotations

import math

import numpy as np

from audio_io.ring import Samples

PASS_BAND = 0.875
"""Kept unchanged up to this part of the lower rate's Nyquist frequency (7 kHz of 8 kHz at 16 kHz)."""
ATTENUATION_DB = 70.0
"""Beyond the Nyquist frequency."""


def _kernel(from_hz: int, to_hz: int, n_phases: int) -> tuple[Samples, int]:
    """Kaiser-windowed sinc, float32 [n_phases, 2 * half] and half; Kaiser's design (Oppenheim & Schafer, 7.6)."""
    nyquist = 0.5 * min(1.0, to_hz / from_hz)  # in cycles per input sample
    transition = nyquist * (1 - PASS_BAND)
    beta = 0.1102 * (ATTENUATION_DB - 8.7)
    half = math.ceil((ATTENUATION_DB - 8) / (2.285 * 2 * math.pi * transition) / 2) + 1
    cutoff = nyquist - transition / 2
    # distance of tap j from the output's place, for each phase: [n_phases, 2 * half]
    offsets = np.arange(-half + 1, half + 1)[None, :] - np.arange(n_phases)[:, None] / n_phases
    window = np.i0(beta * np.sqrt(np.clip(1 - (offsets / half) ** 2, 0, None))) / np.i0(beta)
    taps = 2 * cutoff * np.sinc(2 * cutoff * offsets) * window
    taps /= taps.sum(axis=1, keepdims=True)  # a constant stays that constant at every phase
    return taps.astype(np.float32), half


class Resampler:
    """Mono float32 from one rate to another; sample k of the output lies at the time k / to_hz of the input."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if from_hz <= 0 or to_hz <= 0:
            raise ValueError(f"sample rates must be positive, not {from_hz} and {to_hz} Hz")
        self.from_hz = from_hz
        self.to_hz = to_hz
        common = math.gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        self._taps, self._half = (
            _kernel(from_hz, to_hz, self._up) if from_hz != to_hz else (np.ones((1, 1), np.float32), 0)
        )
        self._buffer: Samples = np.zeros(max(0, self._half - 1), dtype=np.float32)
        self._buffer_at = -len(self._buffer)  # input index of the buffer's first sample
        self._received = 0
        self._made = 0

    @property
    def delay_s(self) -> float:
        """How much of the input the filter looks ahead."""
        return self._half / self.from_hz

    def push(self, samples: Samples, last: bool = False) -> Samples:
        """Takes float32 [n], returns what is ready; `last` hands out the rest (ceil(n * to / from) in all)."""
        samples = np.asarray(samples, dtype=np.float32)
        self._received += len(samples)
        if self._half == 0:
            return samples
        tail = np.zeros(self._half + 1 if last else 0, dtype=np.float32)
        self._buffer = np.concatenate((self._buffer, samples, tail))
        # Output k needs the inputs floor(k * down / up) - half + 1 ... + half.
        ready = self._received * self._up if last else (self._received - self._half) * self._up
        end = max(self._made, -(-ready // self._down))
        k = np.arange(self._made, end, dtype=np.int64) * self._down
        base, phase = k // self._up, k % self._up
        if not len(k):
            return np.empty(0, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(self._buffer, 2 * self._half)
        rows = windows[base - self._half + 1 - self._buffer_at]  # [k, 2 * half]
        out: Samples = np.einsum("kt,kt->k", rows, self._taps[phase])
        self._made = end
        keep_from = end * self._down // self._up - self._half + 1
        drop = min(len(self._buffer), max(0, keep_from - self._buffer_at))
        self._buffer = self._buffer[drop:]
        self._buffer_at += drop
        return out


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """A whole signal, float32 [n] mono; in pieces of a second, because the filter's windows take much room."""
    resampler = Resampler(from_hz, to_hz)
    made = [resampler.push(samples[start : start + from_hz]) for start in range(0, len(samples), from_hz)]
    return np.concatenate([*made, resampler.push(samples[:0], last=True)])
