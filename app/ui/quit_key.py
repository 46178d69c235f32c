"""Ctrl+Q wherever the keyboard is: over an open dialog or list too, and in a window that is not the active one."""

from __future__ import annotations

import sys

from PySide6.QtCore import QEvent, QKeyCombination, QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence

Q_SCAN_CODE = 24
"""Of the key that is Q on a Latin keyboard, under X11 and Wayland (the kernel's code and 8)."""
LATIN = 0x7F
SPECIAL = Qt.Key.Key_Escape.value
"""Qt's codes of keys without a letter begin here; below stand the letters, as their Unicode numbers."""


class QuitKey(QObject):
    """An event filter for the application. `pressed` asks for the end of the program.

    Qt's shortcuts are dead while a dialog or an open list stands before their window, and while their window is not
    the active one (a display without a window manager has none). Quitting must work in any state.

    On Linux the key where Q is counts too when it has a letter of another script (й on a Russian keyboard). Where it
    has a mark of punctuation instead (Greek, Hebrew) this filter does not know it.
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
        if QKeySequence(event.keyCombination()) != self._keys and not self._in_another_script(event):
            return False
        self.pressed.emit()
        return True

    def _in_another_script(self, event: QKeyEvent) -> bool:
        # By its place only where it has no Latin letter: at the same place a French keyboard has A.
        return (
            sys.platform == "linux"
            and LATIN < event.key() < SPECIAL
            and event.nativeScanCode() == Q_SCAN_CODE
            and QKeySequence(QKeyCombination(event.modifiers(), Qt.Key.Key_Q)) == self._keys
        )
