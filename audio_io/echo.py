"""Takes the loudspeaker's sound out of the microphone's: a linear filter, then WebRTC's canceller and its noise filter.

The linear filter keeps the user's voice whole while both talk, but needs some seconds of far-end sound to learn the
room; WebRTC's alone works almost at once but eats into the voice. So WebRTC's works alone first, and the two in a row
as soon as the filter has learnt (figures: `python -m audio_io.bench`, docs/sound.md).
"""

from __future__ import annotations

import importlib
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from audio_io.blocks import BLOCK_S, BLOCK_SAMPLES, INSIDE_RATE_HZ, Samples, seconds_to_blocks
from audio_io.errors import PackageMissingError

Mode = Literal["off", "webrtc", "linear", "cascade", "auto"]
TAIL_S: Final = 0.4
"""Way and reverberation that the linear filter models; the reference is aligned to within some tens of ms before."""
LEARN_S: Final = 3.0
"""Far-end sound after which the cascade takes over in mode "auto"."""
WORSE: Final = 1.5
"""A block whose power the linear filter raises beyond this is left as it was."""
FAR_ACTIVE: Final = 1e-3
"""Root mean square above which a far-end block counts as sound (-60 dB)."""
STREAM_DELAY_MS: Final = 40
"""Told to WebRTC's canceller, which finds the real one by itself: reference.LEAD_S."""


class KalmanFilter:
    """Partitioned-block frequency-domain Kalman filter: Enzner & Vary 2006, in the partitioned form of Kuech, Mabande
    & Enzner 2014, with the diagonal approximation of the state's covariance.

    Blocks of 160 samples, transforms of 320. `process` returns the microphone's block less the estimated echo.
    """

    FORGET: Final = 0.9995
    """Transition factor of the echo path in 10 ms: a path that moves is followed within seconds."""
    SMOOTH: Final = 0.9
    """Of the near-end spectrum's estimate."""

    def __init__(self, tail_s: float = TAIL_S) -> None:
        n_parts = seconds_to_blocks(tail_s, at_least=1)
        n_bins = BLOCK_SAMPLES + 1
        self._far: NDArray[np.complex64] = np.zeros((n_parts, n_bins), np.complex64)  # newest first
        self._path: NDArray[np.complex64] = np.zeros((n_parts, n_bins), np.complex64)
        # The first guess of each part's uncertainty falls with its delay, as reverberation does.
        decay = np.exp(-6.9 * np.arange(n_parts) * BLOCK_S / 0.5, dtype=np.float32)[:, None]
        self._doubt: NDArray[np.float32] = (decay * np.ones((1, n_bins))).astype(np.float32)
        self._near_psd: NDArray[np.float32] = np.zeros(n_bins, np.float32)
        self._far_before: Samples = np.zeros(BLOCK_SAMPLES, np.float32)
        self._turn = 0

    def process(self, near: Samples, far: Samples) -> Samples:
        """float32 [160] of each; the far block must not be later than its echo."""
        spectrum = np.fft.rfft(np.concatenate((self._far_before, far))).astype(np.complex64)
        self._far_before = far
        self._far = np.concatenate((spectrum[None], self._far[:-1]))
        far_power = self._far.real**2 + self._far.imag**2
        # Predict.
        path_power = self._path.real**2 + self._path.imag**2
        self._doubt = self.FORGET**2 * self._doubt + (1 - self.FORGET**2) * path_power
        echo = np.fft.irfft((self._far * self._path).sum(axis=0))[BLOCK_SAMPLES:]
        error = (near - echo).astype(np.float32)
        # Correct. The error's spectrum is that of its block after 160 zeros, hence the factor of one half.
        padded = np.concatenate((np.zeros(BLOCK_SAMPLES, np.float32), error))
        error_spectrum = np.fft.rfft(padded).astype(np.complex64)
        error_power = error_spectrum.real**2 + error_spectrum.imag**2
        explained = (far_power * self._doubt).sum(axis=0)
        self._near_psd = self.SMOOTH * self._near_psd + (1 - self.SMOOTH) * error_power
        gain = self._doubt / (explained + 2 * self._near_psd + 1e-6)
        self._path = self._path + (gain * self._far.conj()) * error_spectrum
        self._doubt = np.maximum(self._doubt * (1 - 0.5 * gain * far_power), 1e-9)
        self._constrain()
        return error

    def _constrain(self) -> None:
        """Cuts a quarter of the parts' impulse responses to their 160 samples; each part's turn comes every 40 ms."""
        part = slice(self._turn, None, 4)
        response = np.fft.irfft(self._path[part], axis=1)
        response[:, BLOCK_SAMPLES:] = 0
        self._path[part] = np.fft.rfft(response, axis=1).astype(np.complex64)
        self._turn = (self._turn + 1) % 4


class WebRtcCanceller:
    """livekit's AudioProcessingModule. Raises PackageMissingError when the package is missing."""

    def __init__(self, echo: bool = True, noise: bool = True) -> None:
        try:
            rtc: Any = importlib.import_module("livekit.rtc")
        except ImportError as error:
            raise PackageMissingError(
                f"The Python package livekit is not installed ({error}), so echo cannot be cancelled.",
                "Install it: pip install livekit",
            ) from error
        self._frame = rtc.AudioFrame
        self._module = rtc.AudioProcessingModule(
            echo_cancellation=echo, noise_suppression=noise, high_pass_filter=True, auto_gain_control=False
        )
        self._echo = echo

    def process(self, near: Samples, far: Samples) -> Samples:
        """float32 [160] of each."""
        if self._echo:
            self._module.process_reverse_stream(self._as_frame(far))
            self._module.set_stream_delay_ms(STREAM_DELAY_MS)
        frame = self._as_frame(near)
        self._module.process_stream(frame)
        out: Samples = np.frombuffer(bytes(frame.data), dtype="<i2").astype(np.float32) / np.float32(32768)
        return out

    def _as_frame(self, samples: Samples) -> Any:
        pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
        return self._frame(bytearray(pcm.tobytes()), INSIDE_RATE_HZ, 1, BLOCK_SAMPLES)


class EchoCanceller:
    """Owned by the microphone's thread. `mode`: "auto" is what the app uses, the others are for comparison."""

    def __init__(self, mode: Mode = "auto", noise_suppression: bool = True) -> None:
        self._mode: Mode = mode
        self._kalman = KalmanFilter() if mode in ("linear", "cascade", "auto") else None
        self._after = WebRtcCanceller(noise=noise_suppression) if mode in ("webrtc", "cascade", "auto") else None
        self._far_blocks = 0
        self._tail_blocks = seconds_to_blocks(TAIL_S)
        self._quiet_blocks = self._tail_blocks + 1
        self._learn_blocks = 0 if mode == "cascade" else seconds_to_blocks(LEARN_S)

    def process(self, near: Samples, far: Samples) -> Samples:
        """float32 [160] of the microphone and of what was played meanwhile; returns [160] of the user."""
        linear = near
        if self._kalman is not None:
            far_active = float(np.dot(far, far)) > FAR_ACTIVE**2 * BLOCK_SAMPLES
            self._far_blocks += far_active
            self._quiet_blocks = 0 if far_active else self._quiet_blocks + 1
            # Nothing audible is on its way from the loudspeaker: there is nothing to take out or to learn.
            cleaned = near if self._quiet_blocks > self._tail_blocks else self._kalman.process(near, far)
            # While it learns anew (the room or the alignment changed) the filter may add instead of take away.
            if float(np.dot(cleaned, cleaned)) > WORSE * float(np.dot(near, near)) + 1e-9:
                cleaned = near
            if self._mode == "linear" or self._far_blocks >= self._learn_blocks:
                linear = cleaned
        return linear if self._after is None else self._after.process(linear, far)
