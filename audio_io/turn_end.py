"""Has the user finished? Smart Turn v3.2 listens to how a sentence ends and gives the probability that it is complete.

The model (BSD-2, 8.7 MB) is a file inside the wheel of pipecat-ai, of which nothing else is needed: set-up takes it out
(`scripts/take_smart_turn.py`). Where it is missing, silence alone decides, and `doctor` says so.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, Protocol

from audio_io.blocks import Samples
from audio_io.errors import PackageMissingError
from audio_io.onnx import open_model
from audio_io.turn_features import features

MODEL_FILE: Final = "smart-turn-v3.2-cpu.onnx"
MODEL_FOLDER: Final = ("share", "sightline")
"""Below the environment that the app is installed in."""
REMEDY: Final = "Get it: python scripts/take_smart_turn.py (in Sightline's folder, with Sightline's Python)"


class TurnJudge(Protocol):
    """Judges whether what was said is a finished turn."""

    def completeness(self, samples: Samples) -> float:
        """Probability, 0..1, that the turn which float32 [n] at 16 kHz ends with is complete."""
        ...


def smart_turn_path() -> Path:
    return Path(sys.prefix).joinpath(*MODEL_FOLDER, MODEL_FILE)


class SmartTurn:
    """A `TurnJudge`. About 30 ms a call on one core. Raises PackageMissingError without the model or onnxruntime."""

    def __init__(self, path: Path | None = None) -> None:
        path = path or smart_turn_path()
        if not path.is_file():
            raise PackageMissingError(
                f"The model {MODEL_FILE} is not there, so the end of what you say is found by silence alone.", REMEDY
            )
        self._session = open_model(path, "the end of what you say is found by silence alone")

    def completeness(self, samples: Samples) -> float:
        (logits,) = self._session.run(None, {"input_features": features(samples)})
        return float(logits[0, 0])


def open_judge(path: Path | None = None) -> TurnJudge | None:
    """None where the model is missing: everything works without it, more slowly."""
    try:
        return SmartTurn(path)
    except PackageMissingError:
        return None
