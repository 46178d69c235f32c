"""Sound of any common rate to 16 kHz, as it arrives; any chunking gives the same samples, bit for bit.

A polyphase windowed sinc filter (Kaiser). Output sample k stands at input time k * in_rate / 16000, with no delay: the
filter looks `_HALF_WIDTH` zero crossings ahead (about 2 ms), and `finish` supplies silence for that.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt

from model.errors import InputError
from model.network.mel import RATE_HZ, check_pcm

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 192_000
_HALF_WIDTH = 32  # zero crossings on each side, at the lower of the two rates
_KAISER_BETA = 9.0  # side lobes below -90 dB
_CUTOFF = 0.94  # of the lower Nyquist frequency
_BLOCK = 160  # output samples that are computed together; fixed, so that rounding does not depend on chunks


class Resampler:
    """Float32 samples at `rate_hz` in, float32 samples at 16 kHz out. Owned by one thread."""

    def __init__(self, rate_hz: int) -> None:
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise InputError(f"the sound's rate is {rate_hz} Hz; expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")
        self.rate_hz = rate_hz
        common = gcd(rate_hz, RATE_HZ)
        self._up, self._down = RATE_HZ // common, rate_hz // common
        self._reach = 0 if self._is_identity else _filters(self._up, self._down).shape[1] // 2
        self._reset()

    @property
    def _is_identity(self) -> bool:
        return self._up == self._down

    def _reset(self) -> None:
        # The filter of the first output sample reaches into silence before the sound.
        self._samples = np.zeros(self._reach, np.float32)
        self._origin = -self._reach  # number of the first sample that is kept
        self._n_in = 0
        self._n_out = 0

    def feed(self, pcm: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Samples [n] -> those samples at 16 kHz that are certain, in whole blocks. Raises InputError."""
        check_pcm(pcm)
        self._n_in += len(pcm)
        if self._is_identity:
            return pcm
        self._samples = np.concatenate((self._samples, pcm))
        blocks = []
        while self._last_input(self._n_out + _BLOCK - 1) < self._origin + len(self._samples):
            blocks.append(self._next_block())
        if blocks:
            self._forget()
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

    def finish(self) -> npt.NDArray[np.float32]:
        """The rest, followed by silence where the filter looks ahead; then the resampler is new."""
        n_total = -(-self._n_in * self._up // self._down)
        parts = []
        while not self._is_identity and self._n_out < n_total:
            missing = self._last_input(self._n_out + _BLOCK - 1) + 1 - self._origin - len(self._samples)
            self._samples = np.concatenate((self._samples, np.zeros(max(missing, 0), np.float32)))
            parts.append(self._next_block()[: n_total - self._n_out + _BLOCK])
        self._reset()
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _last_input(self, n_out: int) -> int:
        """The last input sample that output sample `n_out` needs."""
        return n_out * self._down // self._up + self._reach

    def _next_block(self) -> npt.NDArray[np.float32]:
        filters = _filters(self._up, self._down)
        numbers = np.arange(self._n_out, self._n_out + _BLOCK, dtype=np.int64) * self._down
        starts = numbers // self._up - self._reach + 1 - self._origin  # first input sample under the filter
        windows = np.lib.stride_tricks.sliding_window_view(self._samples, filters.shape[1])[starts]
        block: npt.NDArray[np.float32] = np.einsum("nk,nk->n", windows, filters[numbers % self._up])
        self._n_out += _BLOCK
        return block

    def _forget(self) -> None:
        """Drops the samples that no further output needs."""
        keep_from = self._n_out * self._down // self._up - self._reach + 1
        self._samples = self._samples[keep_from - self._origin :].copy()
        self._origin = keep_from


@lru_cache(maxsize=8)
def _filters(up: int, down: int) -> npt.NDArray[np.float32]:
    """One filter per phase: [up, 2 * reach], over the input samples -reach + 1 .. reach around the output's time."""
    stretch = max(1.0, down / up)  # the filter widens when the rate falls
    reach = int(np.ceil(_HALF_WIDTH * stretch))
    offsets = np.arange(-reach + 1, reach + 1) - np.arange(up)[:, None] / up  # in input samples, [up, taps]
    cutoff = _CUTOFF / stretch
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1 - (offsets / reach) ** 2))) / np.i0(_KAISER_BETA)
    filters = cutoff * np.sinc(cutoff * offsets) * window
    filters /= filters.sum(axis=1, keepdims=True)  # a constant stays itself
    return filters.astype(np.float32)
