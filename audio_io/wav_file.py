"""Reads short sound files and writes WAV files, mono float32 inside."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from audio_io.blocks import Samples
from audio_io.errors import WavFileError
from audio_io.sound_file import read_sound


def read_wav(path: Path | str, rate_hz: int) -> Samples:
    """float32 [n] mono at `rate_hz`, from a file of any rate and any number of channels; for short ones.

    Raises WavFileError for a file that is missing, not sound, or empty.
    """
    return read_sound(path, rate_hz)


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
