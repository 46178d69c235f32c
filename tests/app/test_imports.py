"""What a process must not load: the window never waits for torch, and the headless commands need no Qt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READING = {"rapidocr", "zxingcpp"}  # loaded with the first question that needs them


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("main, app.ui.run, commands.gui", {"torch", "sounddevice", "cv2", "onnxruntime", "livekit"} | READING),
        ("main, app.assistant, commands.compose, commands.headless", {"torch", "PySide6", "transformers"} | READING),
        ("commands.converse, commands.latency_bench, commands.doctor", {"torch", "PySide6"}),
    ],
)
def test_forbidden_modules_are_not_loaded(modules: str, forbidden: set[str]) -> None:
    code = f"import sys, {modules}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert not forbidden & set(loaded)
