"""16-bit samples on the wire, float32 inside."""

from __future__ import annotations

import numpy as np

from model.realtime.client_events import WireError, decode_base64
from model.realtime.config import SPEECH_RATE_HZ
from model.realtime.contract import Samples

SILENT_SAMPLES, FADE_SAMPLES = SPEECH_RATE_HZ // 200, SPEECH_RATE_HZ // 100  # 5 ms, then 10 ms
ONSET = np.concatenate(
    (
        np.zeros(SILENT_SAMPLES, np.float32),
        np.sin(np.linspace(0, np.pi / 2, FADE_SAMPLES, endpoint=False), dtype=np.float32) ** 2,
    )
)
"""Weights of a reply's first samples: a decoder of codes begins with a step, which is heard as a tick."""


def without_tick(pcm: Samples, n_before: int) -> Samples:
    """Speech [n] of which `n_before` samples came before, with the reply's onset faded in."""
    weights = ONSET[n_before : n_before + len(pcm)]
    if not len(weights):
        return pcm
    return np.concatenate((pcm[: len(weights)] * weights, pcm[len(weights) :]))


def to_pcm16(pcm: Samples) -> bytes:
    """Little-endian 16-bit samples of float32 in -1..1; louder is clipped."""
    scaled = np.clip(np.rint(pcm * 32767.0), -32768, 32767)
    return bytes(scaled.astype("<i2").tobytes())


def from_pcm16(data: bytes) -> Samples:
    """float32 in -1..1 of little-endian 16-bit samples; half a sample at the end is left out."""
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768.0)


def decode_pcm16(audio: str | None, param: str) -> bytes:
    """Bytes of a base64 field; raises `WireError`."""
    if audio is None:
        raise WireError("missing_value", f"{param}: expected base64 of 16-bit samples.", param)
    return decode_base64(audio, param)


class PcmPieces:
    """Joins pieces of a stream that were cut anywhere, in the middle of a sample too."""

    def __init__(self) -> None:
        self._half = b""

    def push(self, data: bytes) -> Samples:
        """The samples that are complete with this piece."""
        data = self._half + data
        self._half = data[len(data) // 2 * 2 :]
        return from_pcm16(data)

    def clear(self) -> None:
        """What comes next is another stream."""
        self._half = b""
