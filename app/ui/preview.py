"""What the camera sees: only the newest picture, drawn only when there is a new one and somebody can see it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.ui.icons import pixmap
from app.ui.ports import Picture
from app.view import Problem, View

LOOK_INTERVAL_MS = 80  # a preview needs no more than 12 pictures a second
PICTURE_RATIO = 16 / 9
CORNER_PX = 8.0


class Preview(QWidget):
    """Shows the newest picture, or in words why there is none."""

    def __init__(self, latest_picture: Callable[[], Picture | None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._latest_picture = latest_picture
        self._image: QImage | None = None
        self._rgb = b""  # a QImage does not keep its bytes alive
        self._number = -1
        self._camera_on = True
        self._why_not = "No picture yet"
        self._ground, self._ink = "#0e1318", "#d6dde4"
        self.setAccessibleName("Camera preview")
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumSize(QSize(160, 90))
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_INTERVAL_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def heightForWidth(self, width: int) -> int:  # noqa: N802  # Qt's name
        return round(width / PICTURE_RATIO)

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        return QSize(384, 216)

    def show_state(self, camera_on: bool, why_not: str) -> None:
        """Whether pictures may be shown at all, and what to say while there is none ("Camera off")."""
        if (camera_on, why_not) != (self._camera_on, self._why_not):
            self._camera_on, self._why_not = camera_on, why_not
            self._look()
            self._describe()
            self.update()

    def _look(self) -> None:
        if not self.isVisible() or self.window().isMinimized():
            return
        # A picture that is still there when the camera is off must not look as if it were on.
        picture = self._latest_picture() if self._camera_on else None
        if picture is None:
            if self._image is not None:
                self._image, self._rgb, self._number = None, b"", -1
                self._describe()
                self.update()
            return
        if picture.number == self._number and picture.rgb is self._rgb:
            return
        had_none = self._image is None
        self._number, self._rgb = picture.number, picture.rgb
        self._image = QImage(self._rgb, picture.width, picture.height, 3 * picture.width, QImage.Format.Format_RGB888)
        if had_none:
            self._describe()
        self.update()

    def _describe(self) -> None:
        self.setAccessibleDescription("The camera's picture" if self._image is not None else self._why_not)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  # Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rounded = QPainterPath()
        rounded.addRoundedRect(QRectF(self.rect()), CORNER_PX, CORNER_PX)
        painter.setClipPath(rounded)
        painter.fillPath(rounded, QColor(self._ground))
        if self._image is not None:
            size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
            left, top = (self.width() - size.width()) / 2, (self.height() - size.height()) / 2
            painter.drawImage(QRectF(left, top, size.width(), size.height()), self._image)
            return
        side = 40
        middle = self.rect().center()
        painter.drawPixmap(middle.x() - side // 2, middle.y() - side, pixmap("camera-off", self._ink, side))
        painter.setPen(QColor(self._ink))
        below = self.rect().adjusted(12, self.height() // 2 + 8, -12, -4)
        painter.drawText(below, int(Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap), self._why_not)


class NoPictures(QFrame):
    """Stands where the picture would be when there is a problem with it: what happened, what to do, a way there."""

    choose = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self.setAccessibleName("Pictures")
        self._words = QLabel()
        self._words.setWordWrap(True)
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self._choose = QPushButton("Choose what it sees …")
        self._choose.setAccessibleDescription("Opens the devices in the settings")
        self._choose.setAutoDefault(False)
        self._choose.clicked.connect(self.choose)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 10, 14, 10)
        column.setSpacing(8)
        column.addWidget(self._words)
        column.addWidget(self._choose, 0, Qt.AlignmentFlag.AlignLeft)

    @property
    def text(self) -> str:
        return self._words.text()

    def show_problem(self, problem: Problem | None) -> None:
        text = "" if problem is None else f"{problem.message} {problem.remedy}".strip()
        if text != self._words.text():
            self._words.setText(text)


class PictureCard(QWidget):
    """The preview, or why there is none."""

    def __init__(self, latest_picture: Callable[[], Picture | None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.preview = Preview(latest_picture)
        self.missing = NoPictures()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.preview)
        column.addWidget(self.missing)
        self.missing.hide()

    def show_view(self, view: View) -> None:
        problem = next((p for p in reversed(view.problems) if p.code == "pictures"), None) if view.camera_on else None
        self.missing.show_problem(problem)
        self.preview.show_state(view.camera_on, "No picture yet" if view.camera_on else "Camera off")
        if (problem is not None) != self.missing.isVisibleTo(self):
            self.missing.setVisible(problem is not None)
            self.preview.setVisible(problem is None)
