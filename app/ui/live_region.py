"""Announcements for screen readers that do not know announcements: the description of what has the keyboard changes.

Such a reader speaks a description that changes on the focused object, in the window and in dialogs. The object's own
description comes back when the keyboard has left it: then nobody speaks it.
"""

from __future__ import annotations

from collections import deque

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import isValid

GAP_MS = 200
"""Between two announcements: a reader that finds a newer change of the same object may skip the older one."""
RESTORE_MS = 500
"""After the keyboard has left: Qt tells readers about the new focus after the application."""
MAX_WAITING = 20
"""While a menu or a list is open, or another program has the keyboard, nothing is focused that could speak.
Overflow: the oldest is dropped."""


class LiveRegion(QObject):
    """Lives in the Qt thread."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING)
        self._own: dict[QWidget, str] = {}  # descriptions of the widgets that hold an announcement
        self._timer = QTimer(self)
        self._timer.setInterval(GAP_MS)
        self._timer.timeout.connect(self._next)
        self._restoring = QTimer(self)
        self._restoring.setSingleShot(True)
        self._restoring.setInterval(RESTORE_MS)
        self._restoring.timeout.connect(self._restore)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._on_focus)

    def say(self, text: str, urgent: bool = False) -> None:
        """Urgent ones overtake those that wait."""
        if urgent:
            self._waiting.appendleft(text)
        else:
            self._waiting.append(text)
        if not self._timer.isActive():
            self._next()
            self._timer.start()

    def _next(self) -> None:
        if not self._waiting:
            self._timer.stop()
            return
        widget = QApplication.focusWidget()
        if widget is None or QApplication.activePopupWidget() is not None:
            return
        self._own.setdefault(widget, widget.accessibleDescription())
        text = self._waiting.popleft()
        # The same text again must be a change. It is never emptied: then the tool tip would be the description.
        widget.setAccessibleDescription(text if widget.accessibleDescription() != text else f"{text} ")

    def _on_focus(self, _old: QWidget | None, now: QWidget | None) -> None:
        if any(widget is not now for widget in self._own):
            self._restoring.start()

    def _restore(self) -> None:
        for widget in [widget for widget in self._own if widget is not QApplication.focusWidget()]:
            description = self._own.pop(widget)
            if isValid(widget):
                widget.setAccessibleDescription(description)
