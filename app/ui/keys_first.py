"""The window's keys are the window's, also where a text field would take them for editing.

Under X11 Qt's text fields keep keys of Emacs for themselves: Ctrl+E went to the end of the line and repeated nothing.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QWidget

SHARED = (QKeySequence.StandardKey.Copy, QKeySequence.StandardKey.Paste)
"""Editing that the window adds to: the field has it first."""


class KeysFirst(QObject):
    """An event filter on these widgets of the window."""

    def __init__(self, window: QWidget, *fields: QWidget) -> None:
        super().__init__(window)
        self._window = window
        for field in fields:
            field.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  # Qt's name
        if event.type() != QEvent.Type.ShortcutOverride:
            return False
        assert isinstance(event, QKeyEvent)
        keys = QKeySequence(event.keyCombination())
        if any(keys in QKeySequence.keyBindings(shared) for shared in SHARED):
            return False
        if not any(keys in action.shortcuts() for action in self._window.actions()):
            return False
        event.ignore()  # not the field's: the shortcut follows
        return True
