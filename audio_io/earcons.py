"""The short sounds that tell a state to people who do not look."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np

from audio_io.blocks import SPEECH_RATE_HZ, Samples
from audio_io.interfaces import Earcon
from audio_io.wav_file import read_wav

EARCONS: tuple[Earcon, ...] = get_args(Earcon)


def default_folder() -> Path:
    """assets/earcons beside this package, in a checkout and when installed alike."""
    return Path(__file__).resolve().parents[1] / "assets" / "earcons"


def tone(frequency_hz: float, length_s: float = 0.15, level: float = 0.15) -> Samples:
    """A soft tone without clicks: float32 [n] at 24 kHz."""
    t = np.arange(round(length_s * SPEECH_RATE_HZ)) / SPEECH_RATE_HZ
    envelope = np.minimum(1, t / 0.01) * np.cos(np.pi / 2 * t / length_s) ** 2
    return np.asarray(level * envelope * np.sin(2 * np.pi * frequency_hz * t), np.float32)


def load_earcons(folder: Path | None = None) -> dict[Earcon, Samples]:
    """float32 [n] at 24 kHz by name. Raises WavFileError when one is missing."""
    folder = folder or default_folder()
    return {name: read_wav(folder / f"{name}.wav", SPEECH_RATE_HZ) for name in EARCONS}
