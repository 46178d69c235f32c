from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from app.ui.bridge import AssistantBridge
from app.ui.ports import WindowParts
from app.ui.window import MainWindow
from tests.app.ui.scripted import ScriptedAssistant, parts


def spin_until(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Runs the Qt event loop until the condition holds."""
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s, f"waited {timeout_s:.0f} s for: {what}"
        loop = QEventLoop()
        QTimer.singleShot(5, loop.quit)
        loop.exec()


@pytest.fixture(autouse=True)
def slots_do_not_fail(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Qt swallows what a slot raises: here it fails the test."""
    raised: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _trace: raised.append(error))
    yield
    assert raised == []


@pytest.fixture(scope="session")
def application() -> QApplication:
    application = QApplication.instance() or QApplication(["sightline"])
    assert isinstance(application, QApplication)
    application.setStyle("Fusion")
    return application


@dataclass
class Desk:
    """A window that is up and talks to a scripted Assistant."""

    window: MainWindow
    bridge: AssistantBridge
    assistant: ScriptedAssistant

    def show(self, **changes: object) -> None:
        """Gives the window a new view from another thread, as the Assistant does, and waits until it is shown."""
        thread = threading.Thread(target=self.assistant.show, kwargs=changes)
        thread.start()
        thread.join()
        spin_until(lambda: self.window.view is self.assistant.view, "the view to be shown")


@pytest.fixture
def open_desk(application: QApplication) -> Iterator[Callable[..., Desk]]:
    """Makes windows and takes them down again; fails the test when a thread of the window is left."""
    desks: list[Desk] = []

    def make(window_parts: WindowParts | None = None, assistant: ScriptedAssistant | None = None) -> Desk:
        assistant = assistant or ScriptedAssistant()
        window_parts = window_parts or parts(assistant)
        bridge = AssistantBridge(window_parts.compose)
        desk = Desk(MainWindow(window_parts, bridge), bridge, assistant)
        desks.append(desk)
        desk.window.show()
        desk.window.activateWindow()
        spin_until(desk.window.isActiveWindow, "the window to have the keyboard")
        bridge.start()
        return desk

    yield make
    for desk in desks:
        done: list[bool] = []
        desk.bridge.stopped.connect(lambda done=done: done.append(True))
        desk.bridge.stop()
        spin_until(lambda done=done: bool(done), "the Assistant to stop")
        desk.window.close()
        desk.window.deleteLater()
    spin_until(lambda: not _window_threads(), "the window's threads to end")


def _window_threads() -> list[str]:
    ours = ("compose the assistant", "stop the assistant", "list devices", "screen reader watch")
    return [thread.name for thread in threading.enumerate() if thread.name in ours]


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    made = open_desk()
    spin_until(made.assistant.started.is_set, "the Assistant to start")
    return made
