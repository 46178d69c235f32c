"""Log-mel features of sound as it arrives, equal to the reference's `WhisperFeatureExtractor`.

The reference sees the whole sound: it reflects the sound at both ends, and raises every cell to at least the loudest
cell of the whole sound minus 80 dB. A stream cannot know what will be loud later. Its definition here: a window's
features are those that the reference computes for the sound *up to the end of that window* (with the true samples
where the last frame reaches a little over the edge). The floor is thus that of the loudest cell so far. It depends on
window borders only, so any chunking gives the same features; and it equals the reference on the whole sound
whenever no later window raises the floor over cells of an earlier one, always when the sound fits one window.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from model.checkpoint.processor import sound_section
from model.errors import ConfigError, InputError

RATE_HZ = 16_000
N_FFT = 400
HOP_LENGTH = 160
FRAME_RATE_HZ = RATE_HZ // HOP_LENGTH
_HALF = N_FFT // 2
_DYNAMIC_RANGE = 8.0  # in units of log10 of power: 80 dB
_MIN_POWER = 1e-10


def check_settings(directory: Path | str, n_bins: int) -> None:
    """Raises ConfigError if the checkpoint's processor asks for other features than this module computes."""
    section = sound_section(directory)
    expected = {"sampling_rate": RATE_HZ, "n_fft": N_FFT, "hop_length": HOP_LENGTH, "feature_size": n_bins, "dither": 0}
    for key, value in expected.items():
        found = section.number(key, value)
        if found != value:
            raise ConfigError(
                f"{section.where}: {key} is {found:g}, but this runtime and config.json have {value}; "
                "the files do not match"
            )


def n_mel_frames(n_samples: int) -> int:
    """Mel frames of a sound of `n_samples`; samples after the last whole hop make none."""
    return n_samples // HOP_LENGTH


@lru_cache(maxsize=4)
def mel_filters(n_bins: int) -> torch.Tensor:
    """Triangular filters on Slaney's mel scale, 0 to 8 kHz, of equal area: float32 [n_bins, N_FFT / 2 + 1]."""
    # Slaney's scale: linear to 1 kHz, then logarithmic, 27 steps for a factor of 6.4.
    hz_per_mel, log_start_hz = 200.0 / 3, 1000.0
    log_start_mel, log_step = log_start_hz / hz_per_mel, np.log(6.4) / 27.0
    top_mel = log_start_mel + np.log(RATE_HZ / 2 / log_start_hz) / log_step
    mels = np.linspace(0.0, top_mel, n_bins + 2)
    corners_hz = np.where(
        mels >= log_start_mel, log_start_hz * np.exp(log_step * (mels - log_start_mel)), hz_per_mel * mels
    )
    bins_hz = np.linspace(0.0, RATE_HZ / 2, N_FFT // 2 + 1)
    widths = np.diff(corners_hz)[:, None]
    slopes = corners_hz[:, None] - bins_hz  # [n_bins + 2, n_freqs]
    triangles = np.maximum(0.0, np.minimum(-slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]))
    triangles *= (2.0 / (corners_hz[2:] - corners_hz[:-2]))[:, None]
    return torch.from_numpy(triangles.astype(np.float32))


def _log_mel(samples: torch.Tensor, n_bins: int) -> torch.Tensor:
    """Samples, already extended by half a transform on both sides -> log10 of mel power [n_bins, n_frames]."""
    window = torch.hann_window(N_FFT, device="cpu")
    spectrum = torch.stft(samples, N_FFT, HOP_LENGTH, window=window, center=False, return_complex=True)
    power = spectrum.abs().square()
    return (mel_filters(n_bins) @ power).clamp_(min=_MIN_POWER).log10()


class LogMelStream:
    """Sound in, whole windows of features out. Owned by one thread; holds at most one window of samples."""

    def __init__(self, n_bins: int, n_frames_per_window: int) -> None:
        if n_frames_per_window < 1:
            raise InputError(f"a window of {n_frames_per_window} mel frames was asked for; it needs at least one")
        self._n_bins = n_bins
        self._n_frames_per_window = n_frames_per_window
        self._reset()

    def _reset(self) -> None:
        self._samples = torch.zeros(0)  # from `_origin` on
        self._pieces: list[torch.Tensor] = []  # came after `_samples`, not joined yet
        self._origin = 0  # number of the first sample that is kept
        self._n_samples = 0  # of the sound so far
        self._n_windows = 0
        self._peak = -torch.inf  # loudest cell so far, log10 of power

    def feed(self, pcm: npt.NDArray[np.float32]) -> list[torch.Tensor]:
        """Float32 samples [n] at 16 kHz -> features [n_bins, n_frames_per_window] of each window that is complete.

        A window is complete 2.5 ms after its end. Raises InputError for other than finite float32 [n].
        """
        check_pcm(pcm)
        if len(pcm):
            self._pieces.append(torch.from_numpy(pcm.copy()))
            self._n_samples += len(pcm)
        windows = []
        while self._n_samples >= self._end_of_window():
            windows.append(self._next(self._n_frames_per_window))
        if windows:
            self._samples = self._samples.clone()  # lets go of what came in with it
        return windows

    def finish(self) -> torch.Tensor | None:
        """The last window, whole or not, closed as the reference closes a sound; None if there is no frame in it.

        Then the stream is new.
        """
        self._join()
        n_done = self._n_windows * self._n_frames_per_window
        n_left = n_mel_frames(self._n_samples) - n_done
        features = None
        if n_left > 0:
            if self._n_samples <= _HALF:  # too short to reflect; the reference fails here
                self._append(torch.zeros(_HALF + 1 - self._n_samples))
            self._append(self._samples[-_HALF - 1 : -1].flip(0))
            features = self._next(n_left)
        self._reset()
        return features

    def _end_of_window(self) -> int:
        last_frame = (self._n_windows + 1) * self._n_frames_per_window - 1
        # The very first frames also need samples to reflect.
        return max(last_frame * HOP_LENGTH + _HALF, _HALF + 1)

    def _append(self, samples: torch.Tensor) -> None:
        self._samples = torch.cat((self._samples, samples))

    def _join(self) -> None:
        if self._pieces:
            self._samples = torch.cat((self._samples, *self._pieces))
            self._pieces.clear()

    def _next(self, n_frames: int) -> torch.Tensor:
        self._join()
        first_frame = self._n_windows * self._n_frames_per_window
        start = first_frame * HOP_LENGTH - _HALF - self._origin
        samples = self._samples
        if first_frame == 0:
            samples = torch.cat((samples[1 : _HALF + 1].flip(0), samples))
            start = 0
        log_mel = _log_mel(samples[start : start + (n_frames - 1) * HOP_LENGTH + N_FFT], self._n_bins)
        self._peak = max(self._peak, float(log_mel.max()))
        self._n_windows += 1
        keep_from = (first_frame + n_frames) * HOP_LENGTH - _HALF
        if keep_from > self._origin:
            self._samples = self._samples[keep_from - self._origin :]
            self._origin = keep_from
        return (log_mel.clamp_(min=self._peak - _DYNAMIC_RANGE) + 4.0) / 4.0


def check_pcm(pcm: npt.NDArray[np.float32]) -> None:
    """Raises InputError for other than finite float32 samples [n]."""
    if pcm.dtype != np.float32 or pcm.ndim != 1:
        raise InputError(f"the sound is {pcm.dtype} {pcm.shape}; expected float32 [samples], one channel, -1..1")
    if not np.isfinite(pcm).all():
        raise InputError("the sound has samples that are not finite numbers; the source that made them is broken")
