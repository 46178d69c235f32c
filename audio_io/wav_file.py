"""Reads and writes WAV files (and whatever else libsndfile reads) as the app's mono float32."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from audio_io.blocks import Samples
from audio_io.errors import WavFileError
from audio_io.resample import resample

READABLE = "Give a WAV, FLAC, OGG or MP3 file."


def read_wav(path: Path | str, rate_hz: int) -> Samples:
    """float32 [n] mono at `rate_hz`, from a file of any rate and any number of channels.

    Raises WavFileError for a file that is missing, not sound, or empty.
    """
    import soundfile

    library: Any = soundfile
    path = Path(path)
    if not path.is_file():
        raise WavFileError(f"There is no sound file {str(path)!r}.", "Check the path.")
    try:
        data, file_rate_hz = library.read(str(path), dtype="float32", always_2d=True)
    except (library.SoundFileError, OSError) as error:
        raise WavFileError(f"{str(path)!r} cannot be read as sound ({error}).", READABLE) from error
    if not len(data):
        raise WavFileError(f"{str(path)!r} holds no samples.", READABLE)
    if not np.isfinite(data).all():
        raise WavFileError(f"{str(path)!r} holds samples that are not numbers.", READABLE)
    return resample(data.mean(axis=1, dtype=np.float32), int(file_rate_hz), rate_hz)


def write_wav(path: Path | str, samples: Samples, rate_hz: int) -> None:
    """16 bit mono, whole or not at all: what is there stays until the new file is complete.

    Raises WavFileError when the file cannot be written; nothing of it is left then.
    """
    import soundfile

    library: Any = soundfile
    path = Path(path)
    # In memory first: libsndfile says only "System error" for a full disk.
    content = io.BytesIO()
    library.write(content, np.clip(samples, -1.0, 1.0), rate_hz, subtype="PCM_16", format="WAV")
    partial = path.with_name(f".{path.name}.part")
    try:
        try:
            partial.write_bytes(content.getbuffer())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise WavFileError(
            f"{str(path)!r} cannot be written: {error.strerror}.", "Choose a folder with room that may be written to."
        ) from error
