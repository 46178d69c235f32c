"""The status bar: who answers, how fast it was, and what was lost. No information is left out when it is bad."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QStatusBar, QWidget

from app.view import EngineInfo, Latency, View


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


class StatusLine(QStatusBar):
    """Three permanent fields; messages of the moment ("Transcript copied") come and go left of them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self.setAccessibleName("Status")
        self.engine, self.latency, self.losses = QLabel(), QLabel(), QLabel()
        for label in (self.engine, self.latency, self.losses):
            label.setContentsMargins(8, 2, 8, 2)
        self.addWidget(self.engine)
        self.addPermanentWidget(self.latency)
        self.addPermanentWidget(self.losses)

    def show_view(self, view: View) -> None:
        for label, text in (
            (self.engine, engine_text(view.engine)),
            (self.latency, latency_text(view.latency)),
            (self.losses, losses_text(view)),
        ):
            if label.text() != text:
                label.setText(text)
