"""What the judge of a turn's end hears: log-mel features of the last eight seconds, as Whisper computes them.

The reference is `WhisperFeatureExtractor(chunk_length=8)` of transformers with `do_normalize=True`; a test holds these
to it. In numpy, because the app's process loads no torch.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio_io.blocks import INSIDE_RATE_HZ, Samples

HEARD_S: Final = 8
HEARD_SAMPLES: Final = HEARD_S * INSIDE_RATE_HZ
WINDOW: Final = INSIDE_RATE_HZ * 25 // 1000
HOP: Final = INSIDE_RATE_HZ * 10 // 1000
N_FRAMES: Final = HEARD_SAMPLES // HOP
N_MELS: Final = 80
_DYNAMIC_RANGE: Final = 8.0
"""In powers of ten: what lies further below the loudest cell is cut off there."""
_LINEAR_TO_HZ: Final = 1000.0
"""Slaney's scale: linear below, logarithmic above."""
_HZ_PER_MEL: Final = 200 / 3
_LOG_STEP: Final = np.log(6.4) / 27


def features(samples: Samples) -> NDArray[np.float32]:
    """float32 [n] at 16 kHz -> float32 [1, 80, 800]: the last 8 s, silence before a shorter sound."""
    heard = np.zeros(HEARD_SAMPLES, np.float64)
    kept = samples[-HEARD_SAMPLES:]
    if len(kept):
        heard[-len(kept) :] = kept
    heard = (heard - heard.mean()) / np.sqrt(heard.var() + 1e-7)
    padded = np.pad(heard, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:N_FRAMES]  # [800, 400]
    power = np.abs(np.fft.rfft(frames * _window(), axis=1)) ** 2  # [800, 201]
    mel = np.log10(np.maximum(power @ _filters(), 1e-10))  # [800, 80]
    mel = np.maximum(mel, mel.max() - _DYNAMIC_RANGE)
    scaled: NDArray[np.float32] = ((mel + 4.0) / 4.0).T[None].astype(np.float32)
    return scaled


@lru_cache(maxsize=1)
def _window() -> NDArray[np.float64]:
    """Hann's, periodic."""
    return np.asarray(np.hanning(WINDOW + 1)[:-1], np.float64)


@lru_cache(maxsize=1)
def _filters() -> NDArray[np.float64]:
    """Triangles of equal area on Slaney's mel scale, 0 to 8 kHz: float64 [201, 80]."""
    top = INSIDE_RATE_HZ / 2
    edges = _to_hz(np.linspace(0.0, _to_mel(top), N_MELS + 2))
    bins = np.linspace(0.0, top, WINDOW // 2 + 1)
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (edges[2:] - edges[:-2])), np.float64)


def _to_mel(hz: float) -> float:
    start = _LINEAR_TO_HZ / _HZ_PER_MEL
    return float(hz / _HZ_PER_MEL if hz < _LINEAR_TO_HZ else start + np.log(hz / _LINEAR_TO_HZ) / _LOG_STEP)


def _to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    start = _LINEAR_TO_HZ / _HZ_PER_MEL
    above = _LINEAR_TO_HZ * np.exp(_LOG_STEP * (np.maximum(mels, start) - start))
    return np.where(mels < start, mels * _HZ_PER_MEL, above)
