"""Choosing a part of the screen, by keys or by mouse: what is there is shown dimmed, the part is bright."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QScreen
from PySide6.QtWidgets import QDialog, QWidget

STEP = 0.05
"""Of the screen's width or height, for one press of an arrow."""
HOW = "Arrows move it, Shift and arrows change its size, Enter takes it, Escape goes back."
SMALLEST = 2 * STEP


class RegionDialog(QDialog):
    """Over the whole of one screen. `chosen` carries left, top, width and height in the display's px."""

    chosen = Signal(int, int, int, int)
    tells = Signal(str)

    def __init__(self, screen: QScreen, shot: QPixmap, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.FramelessWindowHint | Qt.WindowType.WindowStaysOnTopHint)
        self.setWindowTitle("Choose a part of the screen")
        self.setAccessibleName("Choose a part of the screen")
        self.setAccessibleDescription(HOW)
        self._screen, self._shot = screen, shot
        self.part: QRectF = QRectF(0.25, 0.25, 0.5, 0.5)
        """In fractions of the screen."""
        self._pressed: QPoint | None = None
        self.setGeometry(screen.geometry())

    def in_words(self) -> str:
        part = self.part
        left, top, width, height = (round(100 * v) for v in (part.left(), part.top(), part.width(), part.height()))
        return f"{left} % from the left, {top} % from the top, {width} % wide, {height} % high."

    def accept(self) -> None:
        geometry, ratio = self._screen.geometry(), self._screen.devicePixelRatio()
        width, height = geometry.width() * ratio, geometry.height() * ratio  # a screen's corner is in px already
        self.hide()
        super().accept()
        self.chosen.emit(
            geometry.left() + round(self.part.left() * width),
            geometry.top() + round(self.part.top() * height),
            max(1, round(self.part.width() * width)),
            max(1, round(self.part.height() * height)),
        )

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  # Qt's name
        step = {
            Qt.Key.Key_Left: (-STEP, 0.0),
            Qt.Key.Key_Right: (STEP, 0.0),
            Qt.Key.Key_Up: (0.0, -STEP),
            Qt.Key.Key_Down: (0.0, STEP),
        }.get(Qt.Key(event.key()))
        if step is not None:
            self._change(*step, size=bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.accept()
        else:
            super().keyPressEvent(event)

    def _change(self, across: float, down: float, *, size: bool) -> None:
        left, top, width, height = self.part.left(), self.part.top(), self.part.width(), self.part.height()
        if size:
            width = min(max(SMALLEST, width + across), 1.0 - left)
            height = min(max(SMALLEST, height + down), 1.0 - top)
        else:
            left = min(max(0.0, left + across), 1.0 - width)
            top = min(max(0.0, top + down), 1.0 - height)
        self.part = QRectF(left, top, width, height)
        self.update()
        self.tells.emit(self.in_words())

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self._pressed = event.position().toPoint()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._pressed is not None:
            drawn = QRect(self._pressed, event.position().toPoint()).normalized() & self.rect()
            if drawn.width() > 1 and drawn.height() > 1:
                width, height = self.width(), self.height()
                self.part = QRectF(
                    drawn.left() / width, drawn.top() / height, drawn.width() / width, drawn.height() / height
                )
                self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self._pressed = None
        self.tells.emit(self.in_words())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.drawPixmap(self.rect(), self._shot)
        painter.fillRect(self.rect(), QColor(0, 0, 0, 140))
        width, height = self.width(), self.height()
        bright = QRectF(
            self.part.left() * width, self.part.top() * height, self.part.width() * width, self.part.height() * height
        )
        across, down = self._shot.width(), self._shot.height()
        source = QRectF(
            self.part.left() * across, self.part.top() * down, self.part.width() * across, self.part.height() * down
        )
        painter.drawPixmap(bright, self._shot, source)
        painter.setPen(QPen(QColor("black"), 4))
        painter.drawRect(bright)
        painter.setPen(QPen(QColor("white"), 2))
        painter.drawRect(bright)
        painter.end()
