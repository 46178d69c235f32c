"""Windows that fit on the screen, with room for the frame and title bar that the window manager draws around them."""

from __future__ import annotations

from PySide6.QtCore import QObject, QPoint
from PySide6.QtWidgets import QApplication, QScrollArea, QWidget
from shiboken6 import isValid

FRAME_PX = (16, 48)  # width and height that a frame may take; before a window is shown nobody knows
MARGIN_PX = 12


def fit_to_screen(window: QWidget, width_px: int, height_px: int) -> None:
    """Gives the window this size, or what there is room for."""
    room = window.screen().availableSize()
    window.resize(min(width_px, room.width() - FRAME_PX[0]), min(height_px, room.height() - FRAME_PX[1]))


class FocusFollower(QObject):
    """Scrolls its area to the widget that gets the keyboard, however it gets it. Lives as long as the area."""

    def __init__(self, area: QScrollArea) -> None:
        super().__init__(area)
        self._area = area
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._scroll)

    def _scroll(self, _old: QWidget | None, now: QWidget | None) -> None:
        if now is None or not isValid(self._area):  # a dying area moves the focus once more
            return
        inside = self._area.widget()
        if inside is None or not inside.isAncestorOf(now):
            return
        self._area.ensureWidgetVisible(now, MARGIN_PX, MARGIN_PX)  # of a text only where its cursor is
        if now.height() + 2 * MARGIN_PX <= self._area.viewport().height():
            top = now.mapTo(inside, QPoint(0, 0))
            self._area.ensureVisible(top.x(), top.y() + now.height(), 0, MARGIN_PX)
            self._area.ensureVisible(top.x(), top.y(), 0, MARGIN_PX)
