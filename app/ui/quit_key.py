"""Ctrl+Q wherever the keyboard is: over an open dialog or list too, and in a window that is not the active one."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence


class QuitKey(QObject):
    """An event filter for the application. `pressed` asks for the end of the program.

    Qt's shortcuts are dead while a dialog or an open list stands before their window, and while their window is not
    the active one (a display without a window manager has none). Quitting must work in any state.
    """

    pressed = Signal()

    def __init__(self, keys: QKeySequence, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._keys = keys
        application = QGuiApplication.instance()
        assert isinstance(application, QGuiApplication)
        application.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  # Qt's name
        if event.type() != QEvent.Type.KeyPress:
            return False
        assert isinstance(event, QKeyEvent)
        if QKeySequence(event.keyCombination()) != self._keys:
            return False
        self.pressed.emit()
        return True
