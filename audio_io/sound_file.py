"""Sound files of any kind and length as mono float32, piece by piece: memory does not depend on the length.

A file is looked through once before it is used, because some things are known only of the whole: whether all of its
samples are numbers, on what scale they are, and whether its channels cancel each other.
"""

from __future__ import annotations

import io
import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from audio_io.blocks import INSIDE_RATE_HZ, Samples
from audio_io.errors import UnhearableFileError, WavFileError
from audio_io.resample import Resampler

READABLE: Final = "Give a WAV, FLAC, OGG or MP3 file."
RATES_HZ: Final = (1_000, 768_000)
MOST_CHANNELS: Final = 64
PIECE_VALUES: Final = 1 << 16
"""Read at a time: samples times channels."""
_CANCELLED: Final = 0.1
"""A mix with less than this share of its channels' power has lost the sound: then the loudest channel is taken."""
_SANE_PEAK: Final = 4.0
"""Floating point samples may exceed full scale a little; beyond this they are on another scale."""
_INT16_SCALE: Final = 32_768.0
_FINE_RATE_HZ: Final = 100
"""High odd rates are taken for the next multiple: exact ratios would need filters of a hundred megabytes."""
_RAW: Final = {
    (1, 8): "PCM_U8",
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
    (6, 8): "ALAW",
    (7, 8): "ULAW",
}
"""(format, bits) of a WAV file and libsndfile's name for such samples."""
_EXTENSIBLE: Final = 0xFFFE
_OTHER_CHUNKS: Final = (b"LIST", b"fact", b"id3 ", b"ID3 ", b"bext", b"JUNK", b"cue ", b"smpl", b"PEAK", b"iXML")
"""What may follow samples of which there are none."""
_SOUND: Final = (b"RIFF", b"RF64", b"FORM", b"fLaC", b"OggS", b"caff", b".snd")
"""How files begin that mean to be sound."""


@dataclass(frozen=True, slots=True)
class SoundFile:
    """Made by `open_sound`; `pieces` may be called any number of times."""

    path: Path
    rate_hz: int
    channel: int | None
    """The one that is heard; None: all of them mixed."""
    scale: float

    def pieces(self, rate_hz: int) -> Iterator[Samples]:
        """Mono float32 [n] at `rate_hz`, one after the other. Raises WavFileError when the file has gone bad since."""
        from_hz = self.rate_hz
        if from_hz > 48_000 and math.gcd(from_hz, rate_hz) < _FINE_RATE_HZ:
            from_hz = round(from_hz / _FINE_RATE_HZ) * _FINE_RATE_HZ
        resampler = Resampler(from_hz, rate_hz)
        with _opened(self.path) as file:
            for values in _values(file):
                mono = values.mean(axis=1, dtype=np.float32) if self.channel is None else values[:, self.channel]
                yield resampler.push(np.ascontiguousarray(mono * np.float32(self.scale)))
        yield resampler.push(np.empty(0, np.float32), last=True)


def open_sound(path: Path | str) -> SoundFile:
    """Looks through a file. Raises WavFileError (missing, no sound) or UnhearableFileError (nothing in it to hear)."""
    path = Path(path)
    if not path.is_file():
        raise WavFileError(f"There is no sound file {str(path)!r}.", "Check the path.")
    with _opened(path) as file:
        if not RATES_HZ[0] <= file.samplerate <= RATES_HZ[1] or file.channels > MOST_CHANNELS:
            raise UnhearableFileError(
                f"{str(path)!r} says that it holds {file.channels} channels of {file.samplerate} samples a second, "
                f"which no recording has.",
                f"Give one of {RATES_HZ[0]} to {RATES_HZ[1]} Hz with at most {MOST_CHANNELS} channels.",
            )
        n_samples = 0
        peak = mixed = 0.0
        power: NDArray[np.float64] = np.zeros(file.channels)
        for values in _values(file):
            if not np.isfinite(values).all():
                raise UnhearableFileError(f"{str(path)!r} holds samples that are not numbers.", READABLE)
            wide = values.astype(np.float64)
            n_samples += len(values)
            peak = max(peak, float(np.abs(values).max()))
            power += (wide**2).sum(axis=0)
            mixed += float((wide.mean(axis=1) ** 2).sum())
        if not n_samples:
            raise UnhearableFileError(f"{str(path)!r} holds no samples.", READABLE)
        cancels = mixed < _CANCELLED * float(power.mean())
        return SoundFile(path, int(file.samplerate), int(power.argmax()) if cancels else None, _scale(peak))


def _scale(peak: float) -> float:
    if peak <= _SANE_PEAK:
        return 1.0
    return 1 / _INT16_SCALE if peak <= 2 * _INT16_SCALE else 1 / peak


def _values(file: Any) -> Iterator[NDArray[np.float32]]:
    """float32 [n, channels]."""
    n_samples = max(1, PIECE_VALUES // file.channels)
    while len(values := file.read(n_samples, dtype="float32", always_2d=True)):
        yield values


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import soundfile

    library: Any = soundfile
    try:
        with path.open("rb") as raw:
            found = _unfinished_data(raw)
            raw.seek(0)
            if found is None:
                with library.SoundFile(raw) as file:
                    yield file
            else:
                form, start, end = found
                with library.SoundFile(_Span(raw, start, end), format="RAW", endian="LITTLE", **form) as file:
                    yield file
    except (library.SoundFileError, OSError, ValueError, TypeError) as error:
        kind = UnhearableFileError if _means_sound(path) else WavFileError
        raise kind(f"{str(path)!r} cannot be read as sound ({error}).", READABLE) from error


def _means_sound(path: Path) -> bool:
    try:
        with path.open("rb") as raw:
            return raw.read(4) in _SOUND
    except OSError:
        return False


def _unfinished_data(raw: BinaryIO) -> tuple[dict[str, Any], int, int] | None:
    """A WAV file that was never finished says nonsense about its length: (format, start, end) of its samples.

    None for every other file.
    """
    size = os.fstat(raw.fileno()).st_size
    head = raw.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    form: dict[str, Any] | None = None
    align = 1
    while len(chunk := raw.read(8)) == 8:
        name, length = chunk[:4], struct.unpack("<I", chunk[4:])[0]
        at = raw.tell()
        if name == b"fmt " and 16 <= length <= 64:
            read = _format(raw.read(length))
            if read is None:
                return None
            form, align = read
        elif name == b"data":
            empty = length == 0 and (at >= size or raw.read(4) in _OTHER_CHUNKS)
            if form is None or empty or 0 < length <= size - at:
                return None
            return form, at, at + (size - at) // align * align
        raw.seek(at + length + length % 2)
    return None


def _format(chunk: bytes) -> tuple[dict[str, Any], int] | None:
    """libsndfile's words for a "fmt " chunk, and the bytes of a sample of all channels; None: it judges itself."""
    if len(chunk) < 16:
        return None
    tag, channels, rate_hz, _, align, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack("<H", chunk[24:26])
    subtype = _RAW.get((tag, bits))
    if subtype is None or not channels or not rate_hz or align != channels * bits // 8:
        return None
    return {"samplerate": rate_hz, "channels": channels, "subtype": subtype}, align


class _Span(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, raw: BinaryIO, start: int, end: int) -> None:
        self._raw = raw
        self._start, self._length = start, end - start
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._raw.seek(self._start + self._at)
        data = self._raw.read(max(0, min(len(buffer), self._length - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def read_sound(path: Path | str, rate_hz: int = INSIDE_RATE_HZ) -> Samples:
    """A whole short file: float32 [n] mono. Raises what `open_sound` raises."""
    return np.concatenate(list(open_sound(path).pieces(rate_hz)))
