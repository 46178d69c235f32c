"""Sound files as they are found in the world: right, or a sentence."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audio_io.blocks import INSIDE_RATE_HZ
from audio_io.errors import UnhearableFileError, WavFileError
from audio_io.sound_file import open_sound, read_sound

RATE_HZ = 16_000
TONE = (0.4 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)


def wav(
    samples: bytes,
    *,
    data_size: int | None = None,
    riff_size: int | None = None,
    channels: int = 1,
    rate_hz: int = RATE_HZ,
    bits: int = 16,
    tag: int = 1,
    after: bytes = b"",
) -> bytes:
    """A WAV file with whatever its header is to claim."""
    align = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, min(rate_hz * align, 2**32 - 1), align, bits)
    data = struct.pack("<4sI", b"data", len(samples) if data_size is None else data_size) + samples + after
    body = b"WAVE" + struct.pack("<4sI", b"fmt ", len(form)) + form + data
    return struct.pack("<4sI", b"RIFF", len(body) if riff_size is None else riff_size) + body


def pcm16(samples: NDArray[np.float32]) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


@pytest.mark.parametrize("data_size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 1_000_000])
@pytest.mark.parametrize("riff_size", [0, 0xFFFFFFFF, 36])
def test_a_recording_that_was_never_finished_is_read_to_its_end(tmp_path: Path, data_size: int, riff_size: int) -> None:
    path = tmp_path / "cut off.wav"
    path.write_bytes(wav(pcm16(TONE), data_size=data_size, riff_size=riff_size))
    assert np.abs(read_sound(path) - TONE).max() < 1e-3


def test_half_a_sample_at_the_end_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "cut off.wav"
    stereo = np.stack((TONE, TONE), 1).ravel()
    path.write_bytes(wav(pcm16(stereo)[:-3], data_size=0, channels=2))
    assert len(read_sound(path)) == RATE_HZ - 1


@pytest.mark.parametrize(("tag", "bits", "dtype"), [(3, 32, "<f4"), (3, 64, "<f8")])
def test_an_unfinished_recording_of_floats_is_read_too(tmp_path: Path, tag: int, bits: int, dtype: str) -> None:
    path = tmp_path / "cut off.wav"
    path.write_bytes(wav(TONE.astype(dtype).tobytes(), data_size=0, tag=tag, bits=bits))
    assert np.abs(read_sound(path) - TONE).max() < 1e-6


def test_no_samples_before_another_chunk_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    path.write_bytes(wav(b"", after=struct.pack("<4sI", b"LIST", 4) + b"INFO"))
    with pytest.raises(UnhearableFileError, match="no samples"):
        open_sound(path)


def test_floats_on_the_scale_of_integers_are_heard_as_loud_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "scaled.wav"
    soundfile.write(path, TONE * 32768, RATE_HZ, subtype="FLOAT")
    assert np.abs(read_sound(path) - TONE).max() < 1e-3


def test_floats_a_little_over_full_scale_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "hot.wav"
    soundfile.write(path, TONE * 3, RATE_HZ, subtype="FLOAT")
    assert np.abs(read_sound(path) - TONE * 3).max() < 1e-3


def test_channels_of_opposite_phase_do_not_cancel_the_voice(tmp_path: Path) -> None:
    path = tmp_path / "opposite.wav"
    soundfile.write(path, np.stack((TONE, -TONE), 1), RATE_HZ)
    assert np.abs(np.abs(read_sound(path)) - np.abs(TONE)).max() < 1e-3


def test_two_different_channels_are_mixed(tmp_path: Path) -> None:
    path = tmp_path / "two.wav"
    soundfile.write(path, np.stack((TONE, np.zeros_like(TONE)), 1), RATE_HZ)
    assert np.abs(read_sound(path) - TONE / 2).max() < 1e-3


@pytest.mark.parametrize("rate_hz", [0, 1, 999, 4_000_000_000])
def test_a_rate_that_no_recording_has_is_a_sentence(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "odd.wav"
    path.write_bytes(wav(pcm16(TONE), rate_hz=rate_hz))
    with pytest.raises(UnhearableFileError, match=r"odd\.wav"):
        open_sound(path)


@pytest.mark.parametrize("channels", [0, 65, 1000, 65_535])
def test_channels_that_no_recording_has_are_a_sentence(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "odd.wav"
    path.write_bytes(wav(pcm16(TONE), channels=channels) if channels < 2048 else wav(pcm16(TONE), channels=2048))
    with pytest.raises(UnhearableFileError, match=r"odd\.wav"):
        open_sound(path)


@pytest.mark.parametrize("rate_hz", [7_919, 11_025, 44_101, 191_999, 384_000])
def test_any_rate_that_a_recording_may_have_keeps_its_pitch(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.4 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz), rate_hz)
    sound = read_sound(path)
    assert len(sound) == pytest.approx(INSIDE_RATE_HZ, abs=20)
    spectrum = np.abs(np.fft.rfft(sound))
    assert np.argmax(spectrum) == pytest.approx(440, abs=2)


def test_a_header_alone_and_samples_that_are_no_numbers_are_sentences(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav(b"")[:30])
    with pytest.raises(UnhearableFileError):
        open_sound(path)
    soundfile.write(path, np.full(100, np.nan), RATE_HZ, subtype="FLOAT")
    with pytest.raises(UnhearableFileError, match="not numbers"):
        open_sound(path)


def test_what_is_no_sound_at_all_is_another_kind_of_mistake(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_text("a letter")
    with pytest.raises(WavFileError) as raised:
        open_sound(path)
    assert not isinstance(raised.value, UnhearableFileError)


LONG = """
import resource, sys
import numpy as np
from audio_io.sound_file import open_sound
file = open_sound(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
n = sum(len(piece) for piece in file.pieces(16_000))
print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux alone")
def test_memory_does_not_grow_with_the_length_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(8_000 * 90, np.int16), 8_000)
    done = subprocess.run(
        [sys.executable, "-c", LONG, str(path)], capture_output=True, text=True, timeout=240, check=True
    )
    n_samples, grown_kb = map(int, done.stdout.split())
    assert n_samples == 90 * 16_000
    assert grown_kb < 100_000  # it was 27 MB for every second
