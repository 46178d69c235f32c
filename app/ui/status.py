"""The status line: who answers, how fast it was, and what was lost. No information is left out when it is bad."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from app.ui.flow import FlowLayout
from app.ui.theme import Theme
from app.view import EngineInfo, Latency, View

CELL_EM = 17  # least width of a field in units of the type size: more beside each other where there is room


def engine_text(engine: EngineInfo) -> str:
    where = f"remote: {engine.url}" if engine.remote else "on this machine"
    return f"Engine: {engine.model} ({where})" if engine.model else f"Engine: {where}"


def latency_text(latency: Latency | None) -> str:
    """From the user's last sound to the first sound of the reply, and where most of it went."""
    if latency is None or latency.first_sample_ms is None:
        return "Last answer: –"
    text = f"Last answer after {latency.first_sample_ms / 1000:.2f} s"
    if latency.first_speech_ms is not None and latency.commit_ms is not None:
        engine_ms = latency.first_speech_ms - latency.commit_ms
        text += f" (engine {engine_ms / 1000:.2f} s)"
    return text


def losses_text(view: View) -> str:
    text = "No drop-outs" if not view.drop_outs else f"Drop-outs: {view.drop_outs}"
    return text if not view.lost_input_ms else f"{text}, {view.lost_input_ms} ms of microphone lost"


class StatusLine(QWidget):
    """Three fields, in as many rows as the width asks for, and a message of the moment ("Transcript copied")."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("status")
        self.setAccessibleName("Status")
        self.engine, self.latency, self.losses, self.message = QLabel(), QLabel(), QLabel(), QLabel()
        row = FlowLayout(self, max_columns=4)
        for label in (self.engine, self.latency, self.losses, self.message):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            row.addWidget(label)
        self._over = QTimer(self)
        self._over.setSingleShot(True)
        self._over.timeout.connect(lambda: self._say(""))
        self.message.hide()

    def show_view(self, view: View) -> None:
        for label, text in (
            (self.engine, engine_text(view.engine)),
            (self.latency, latency_text(view.latency)),
            (self.losses, losses_text(view)),
        ):
            if label.text() != text:
                label.setText(text)

    def set_theme(self, theme: Theme, size_pt: float) -> None:
        width = round(size_pt * CELL_EM)
        for label in (self.engine, self.latency, self.losses, self.message):
            label.setMinimumWidth(width)

    def show_message(self, text: str, limit_ms: int) -> None:
        """Shown for `limit_ms`, or until the next one."""
        self._say(text)
        self._over.start(limit_ms)

    def _say(self, text: str) -> None:
        self.message.setText(text)
        self.message.setVisible(bool(text))
