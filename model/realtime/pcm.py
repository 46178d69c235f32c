"""16-bit samples on the wire, float32 inside."""

from __future__ import annotations

import numpy as np

from model.realtime.client_events import WireError, decode_base64
from model.realtime.contract import Samples


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
