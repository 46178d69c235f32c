"""The detectors themselves; what the segmenter makes of them is in test_segmenter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LISTEN = """
import numpy as np
from audio_io.vad import NeuralDetector
print(NeuralDetector().probability(np.zeros(512, np.float32)))
"""


def test_the_detector_reports_to_nobody(tmp_path: Path) -> None:
    """onnxruntime's published builds report to their maker by default; an identifier on the disk is the first sign."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_", "CI"))}
    for name in ("GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL"):  # where it keeps quiet by itself
        environment.pop(name, None)
    environment["HOME"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", LISTEN], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert float(done.stdout) < 0.5
    assert list(tmp_path.rglob("*")) == []
