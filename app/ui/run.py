"""Starts the window, and ends everything when it closes."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence

from PySide6.QtCore import QSocketNotifier, QTimer
from PySide6.QtWidgets import QApplication

from app.ui.bridge import AssistantBridge
from app.ui.display import check_display
from app.ui.ports import WindowParts
from app.ui.window import MainWindow

STOP_TIMEOUT_S = 2.5  # for devices and engine; the whole program has 3 s
HARD_LIMIT_S = 2.9
LATEST_START_MS = 1000


def run(parts: WindowParts, arguments: Sequence[str] = ()) -> int:
    """Shows the window and runs until it is closed. Returns the exit status. Raises NoDisplay."""
    check_display()
    application = QApplication(["sightline", *arguments])
    application.setStyle("Fusion")  # the same everywhere, and it takes every colour from the palette
    application.setApplicationName("Sightline")
    application.setDesktopFileName("sightline")
    bridge = AssistantBridge(parts.compose)
    window = MainWindow(parts, bridge)
    closer = _Closer(application, bridge, window)
    window.closing.connect(closer.begin)
    signals = SignalsToQt(window.close)
    # The first picture of the window is on the screen before anything else starts; a minimised one has none.
    window.on_screen.connect(bridge.start)
    QTimer.singleShot(LATEST_START_MS, bridge.start)
    window.show()
    try:
        return application.exec()
    finally:
        signals.close()
        closer.end()


class _Closer:
    """Ends the Assistant off the Qt thread, then the program; and the program in any case within HARD_LIMIT_S."""

    def __init__(self, application: QApplication, bridge: AssistantBridge, window: MainWindow) -> None:
        self._application = application
        self._bridge = bridge
        self._watchdog: threading.Timer | None = None
        application.setQuitOnLastWindowClosed(False)
        bridge.stopped.connect(application.quit)

    def begin(self) -> None:
        if self._watchdog is not None:
            return
        # A driver or a model that hangs must not keep a window-less process alive.
        self._watchdog = threading.Timer(HARD_LIMIT_S, os._exit, (1,))
        self._watchdog.daemon = True
        self._watchdog.start()
        self._bridge.stop(STOP_TIMEOUT_S)

    def end(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()


class SignalsToQt:
    """SIGINT and SIGTERM close the window like its close button does.

    Python runs signal handlers only between its own instructions, and Qt's event loop executes none while it waits:
    the wake-up socket makes it run. The closing waits for the event loop: before the window is on the screen Qt takes
    `close()` for done and does nothing, and a Ctrl+C in that moment would be lost.
    """

    def __init__(self, close: Callable[[], object]) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._notifier = QSocketNotifier(self._reader.fileno(), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(self._drain)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno())
        self._before = {
            number: signal.signal(number, lambda _number, _frame: QTimer.singleShot(0, close))
            for number in (signal.SIGINT, signal.SIGTERM)
        }

    def _drain(self) -> None:
        self._reader.recv(64)

    def close(self) -> None:
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()
