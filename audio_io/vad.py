"""The two voice detectors: webrtcvad finds a start quickly but never lets go in steady noise; silero knows speech."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from audio_io.blocks import BLOCK_SAMPLES, INSIDE_RATE_HZ, Samples
from audio_io.errors import PackageMissingError
from audio_io.library import import_package
from audio_io.onnx import open_model

QUICK_SAMPLES: Final = 2 * BLOCK_SAMPLES
"""webrtcvad judges 20 ms at a time."""
NEURAL_SAMPLES: Final = 512
"""silero judges 32 ms at a time, with the 64 samples before them."""
NEURAL_CONTEXT: Final = 64
_STATE_SHAPE: Final = (2, 1, 128)
_MODEL_FILE: Final = "data/silero_vad.onnx"


def silero_model_path() -> Path:
    """The ONNX file inside the package silero-vad, found without importing it (it would import torch)."""
    spec = importlib.util.find_spec("silero_vad")
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent / _MODEL_FILE
    if path is None or not path.is_file():
        raise PackageMissingError(
            f"The Python package silero-vad is not installed or lacks {_MODEL_FILE}: the end of speech is not found.",
            "Install it: pip install silero-vad",
        )
    return path


class QuickDetector:
    """webrtcvad, mode 3: True where 20 ms of sound may be speech."""

    def __init__(self, mode: int = 3) -> None:
        module: Any = import_package("webrtcvad", "webrtcvad-wheels", "the start of speech is not found")
        self._make: Callable[[], Any] = lambda: module.Vad(mode)
        self._vad: Any = self._make()

    def reset(self) -> None:
        self._vad = self._make()

    def is_speech(self, samples: Samples) -> bool:
        """float32 [320] at 16 kHz."""
        pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
        return bool(self._vad.is_speech(pcm.tobytes(), INSIDE_RATE_HZ))


class NeuralDetector:
    """silero-vad on onnxruntime, one thread: the probability that 32 ms of sound are speech."""

    def __init__(self) -> None:
        self._session = open_model(silero_model_path(), "the end of speech is not found")
        self._rate = np.array(INSIDE_RATE_HZ, dtype=np.int64)
        self.reset()

    def reset(self) -> None:
        self._state = np.zeros(_STATE_SHAPE, dtype=np.float32)
        self._input = np.zeros((1, NEURAL_CONTEXT + NEURAL_SAMPLES), dtype=np.float32)

    def probability(self, samples: Samples) -> float:
        """float32 [512] at 16 kHz."""
        self._input[0, :NEURAL_CONTEXT] = self._input[0, -NEURAL_CONTEXT:]
        self._input[0, NEURAL_CONTEXT:] = samples
        out, self._state = self._session.run(None, {"input": self._input, "state": self._state, "sr": self._rate})
        return float(out[0, 0])
