"""The picture that an answer is about, large: for sighted helpers, and to keep as a file."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap, QResizeEvent
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.ui.fitting import fit_to_screen
from app.ui.saving import Saver, ask_place
from app.view import TranscriptTurn


class PictureDialog(QDialog):
    """Shows `turn.picture` under the answer's words."""

    def __init__(self, turn: TranscriptTurn, saver: Saver, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("The picture of the answer")
        self._saver, self._jpeg = saver, turn.picture
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
        ask_place(self, "Save the picture", "sightline-picture.jpg", "JPEG", self.save_to)

    def save_to(self, path: str) -> None:
        self._saver.write(path, self._jpeg, "picture")
