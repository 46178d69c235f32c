"""Pictures that are brought to the window: files dropped on it, and what the clipboard holds (Ctrl+V)."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QBuffer, QEvent, QIODevice, QMimeData, QObject
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QWidget

from app.commands import ChooseDevice, Command, ShowPicture

NOTHING = "There is no picture in the clipboard."
PASTED = "the picture from the clipboard"


class PicturesIn(QObject):
    """Watches the window for dropped files, and the text field for pasted pictures: text is still pasted as text."""

    def __init__(self, window: QWidget, field: QWidget, send: Callable[[Command], None]) -> None:
        super().__init__(window)
        self._send = send
        self._field = field
        window.setAcceptDrops(True)
        window.installEventFilter(self)
        field.installEventFilter(self)

    def paste(self) -> bool:
        """Shows what the clipboard holds; False when that is no picture."""
        command = command_for(QGuiApplication.clipboard().mimeData())
        if command is not None:
            self._send(command)
        return command is not None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  # Qt's name
        if watched is self._field:
            pressed = isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress
            if pressed and event.matches(QKeySequence.StandardKey.Paste):  # type: ignore[attr-defined]
                mime = QGuiApplication.clipboard().mimeData()
                return not (mime is not None and mime.hasText() and not mime.hasUrls()) and self.paste()
            return False
        if isinstance(event, QDropEvent):
            command = command_for(event.mimeData())
            if command is None:
                return False
            event.acceptProposedAction()
            if not isinstance(event, QDragEnterEvent) and event.type() is QEvent.Type.Drop:
                self._send(command)
            return True
        return False


def command_for(mime: QMimeData | None) -> Command | None:
    """The first file, or the picture itself; None for anything else."""
    if mime is None:
        return None
    for url in mime.urls():
        if url.isLocalFile():
            return ChooseDevice("pictures", f"file:{url.toLocalFile()}")
    if mime.hasImage():
        image = mime.imageData()
        if isinstance(image, QImage) and not image.isNull():
            buffer = QBuffer()
            buffer.open(QIODevice.OpenModeFlag.WriteOnly)
            image.save(buffer, "PNG")  # type: ignore[call-overload]
            return ShowPicture(bytes(buffer.data().data()), PASTED)
    return None
