"""The picture that an answer is about, large: for sighted helpers, and to keep as a file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPixmap, QResizeEvent
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFileDialog, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.ui.fitting import fit_to_screen
from app.view import TranscriptTurn


class PictureDialog(QDialog):
    """Shows `turn.picture` under the answer's words. `told`: what became of saving it, for eyes and ears."""

    told = Signal(str)

    def __init__(self, turn: TranscriptTurn, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("The picture of the answer")
        self._jpeg = turn.picture
        self._whole = QPixmap()
        self._whole.loadFromData(self._jpeg)
        said = QLabel(turn.text)
        said.setWordWrap(True)
        said.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.picture = QLabel("The picture cannot be shown." if self._whole.isNull() else "")
        self.picture.setAccessibleName(f"The picture of the answer: {turn.text}")
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.picture.setMinimumHeight(120)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Close)
        buttons.accepted.connect(self._save)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(said)
        layout.addWidget(self.picture, 1)
        layout.addWidget(buttons)
        fit_to_screen(self, 900, 680)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  # Qt's name
        super().resizeEvent(event)
        if self._whole.isNull():
            return
        ratio = self.devicePixelRatioF()
        scaled = self._whole.scaled(
            self.picture.size() * ratio,
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        scaled.setDevicePixelRatio(ratio)
        self.picture.setPixmap(scaled)

    def _save(self) -> None:
        dialog = QFileDialog(self, "Save the picture", "sightline-picture.jpg")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("jpg")
        dialog.setNameFilter("JPEG (*.jpg)")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.save_to)
        dialog.open()

    def save_to(self, path: str) -> None:
        try:
            Path(path).write_bytes(self._jpeg)
        except OSError as error:
            self.told.emit(f"The picture could not be saved: {error}")
        else:
            self.told.emit(f"Picture saved as {Path(path).name}")
