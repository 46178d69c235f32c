"""Takes pictures of the real window for docs/, each in a fixed state: `python -m tests.app.ui.pictures docs`.

The other side is scripted, so that they come out the same everywhere; those of a running conversation are taken by
tests/e2e/screenshots.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import cv2
import numpy as np
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from app.settings import Settings
from app.ui.bridge import AssistantBridge
from app.ui.settings_dialog import SettingsDialog
from app.ui.window import MainWindow
from app.view import DeviceNames, EngineInfo, Phase, Problem, TranscriptTurn, View
from tests.app.ui.scripted import GreyPicture, ScriptedAssistant, parts

SAMPLE = Path(__file__).parents[3] / "assets" / "samples" / "table.jpg"
ENGINE = EngineInfo(model="flash-mini", ready=True, voices=("ethan",))
DEVICES = DeviceNames("USB Microphone", "Headphones", "camera:0")
NO_CAMERA = Problem("pictures", "There is no camera.", "Plug one in, or choose the screen or a file.")
TALK = (
    TranscriptTurn(1, "user", 3.0, "what do you see", spoken=True, done=True),
    TranscriptTurn(2, "assistant", 5.0, "I see a red cup and a green bottle.", spoken=True, done=True),
    TranscriptTurn(3, "user", 13.0, "where is the bottle", spoken=True, done=True),
    TranscriptTurn(4, "assistant", 15.0, "The bottle is on", spoken=True, done=True, cut=True, cut_by="interrupted"),
)
FIRST = View(phase=Phase.LISTENING, engine=ENGINE, devices=DEVICES, problems=(NO_CAMERA,), level_dbfs=-60.0)
SPEAKING = View(
    phase=Phase.SPEAKING, engine=ENGINE, devices=DEVICES, transcript=TALK, started_at_unix_s=1.7e9, level_dbfs=-34.0
)
UNPLUGGED = Problem("microphone", "The microphone was unplugged.", "Plug it in again, or choose another one.")
PROBLEM = replace(SPEAKING, phase=Phase.LISTENING, problems=(UNPLUGGED,), level_dbfs=-100.0)
LISTENING = replace(SPEAKING, phase=Phase.LISTENING, level_dbfs=-58.0)
PICTURES: tuple[tuple[str, Settings, tuple[int, int], View], ...] = (
    ("window-first", Settings(), (1366, 720), FIRST),
    ("window-1366x768", Settings(), (1366, 720), SPEAKING),
    ("window-800x600-largest", Settings(font_scale=2.0), (800, 552), SPEAKING),
    ("window-listening", Settings(), (1100, 680), LISTENING),
    ("window-speaking", Settings(), (1100, 680), SPEAKING),
    ("window-problem", Settings(), (1100, 680), PROBLEM),
    ("window-320", Settings(), (320, 640), SPEAKING),
    ("window-dark", Settings(theme="dark"), (1100, 680), SPEAKING),
    ("window-high-contrast", Settings(theme="high contrast"), (1100, 680), SPEAKING),
)


def wait(ms: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(ms, loop.quit)
    loop.exec()


def take(
    path: Path,
    settings: Settings,
    size: tuple[int, int],
    view: View,
    then: Callable[[MainWindow], QWidget] | None = None,
) -> None:
    """One picture of the window, or of what `then` opens."""
    sample = cv2.resize(cv2.imread(str(SAMPLE)), (640, 360))
    rgb = np.ascontiguousarray(cv2.cvtColor(sample, cv2.COLOR_BGR2RGB)).tobytes()
    assistant = ScriptedAssistant(view)
    made = parts(assistant, settings=settings, picture=GreyPicture(1, 640, 360, rgb))
    bridge = AssistantBridge(made.compose)
    window = MainWindow(made, bridge)
    window.show()
    bridge.start()
    wait(300)
    window.resize(*size)
    wait(300)
    shown = then(window) if then is not None else window
    wait(200)
    shown.grab().save(str(path))
    window.close()
    bridge.stop()
    wait(100)


def open_settings(window: MainWindow) -> QWidget:
    window.actions_.settings.trigger()
    dialog = window.findChild(SettingsDialog)
    assert dialog is not None
    return dialog


def main(folder: Path) -> None:
    application = QApplication(["sightline"])
    application.setStyle("Fusion")
    for name, settings, size, view in PICTURES:
        take(folder / f"{name}.png", settings, size, view)
    take(folder / "settings-high-contrast.png", Settings(theme="high contrast"), (1100, 680), SPEAKING, open_settings)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
