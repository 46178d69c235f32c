"""What Sightline is doing: an icon, a word and a colour, with one line of detail, and the microphone's level."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.ui.icons import pixmap
from app.ui.theme import Theme
from app.view import Phase, View

QUIET_DBFS, LOUD_DBFS = -65.0, -8.0  # the ends of the meter: a quiet room, and speech close to the microphone
FALL_DB = 3.0  # the meter rises at once and falls slowly, so that short words can be seen
N_BARS = 24


NO_MICROPHONE = "No microphone"
NO_SOUND = "No sound"


def has_problem(view: View, code: str) -> bool:
    return any(problem.code == code for problem in view.problems)


def state_of(view: View) -> tuple[str, Phase]:
    """The word that is shown, and the state whose icon and colour go with it.

    Who waits for a voice without a microphone does not listen: that must not look (or sound) as if it did.
    """
    if view.phase is Phase.LISTENING and view.microphone_on and has_problem(view, "microphone"):
        return NO_MICROPHONE, Phase.FAILED
    if view.phase is Phase.LISTENING and view.microphone_on and has_problem(view, "microphone use"):
        return NO_SOUND, Phase.FAILED
    return view.phase.label, view.phase


def detail_of(view: View, talk_key: str) -> str:
    """The line under the state: what to do now, or what is being waited for."""
    if view.phase is Phase.STARTING:
        return f"{view.engine.detail[:1].upper()}{view.engine.detail[1:]} …" if view.engine.detail else "Starting …"
    if state_of(view)[0] == NO_MICROPHONE:
        return "Type your question"
    if state_of(view)[0] == NO_SOUND:
        return "The microphone cannot be heard: see the message, or type"
    if view.phase is Phase.LISTENING and view.narrating:
        return "Says what changes; Ctrl+J ends it"
    if view.phase is Phase.LISTENING:
        return "Speak whenever you like" if view.microphone_on else f"Type, or hold {talk_key} to talk"
    if view.phase is Phase.HEARING:
        return f"Release {talk_key} when you are done" if view.push_to_talk else "Pause when you are done"
    if view.phase is Phase.REPLYING:
        return "Esc stops it"
    if view.phase is Phase.SPEAKING:
        return "Speak to interrupt, Esc to stop"
    if view.phase is Phase.PAUSED:
        return f"Ctrl+M turns it on; {talk_key} talks while held"
    return "See the message" if view.problems else "Something went wrong"


class LevelMeter(QWidget):
    """The microphone's level as bars; grey and labelled when the microphone is off."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Microphone level")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(16)
        self._level_dbfs = QUIET_DBFS
        self._lit = 0
        self._on = True
        self._lit_colour, self._dark_colour = QColor("#0b57a4"), QColor("#c9d1da")

    def set_colours(self, lit: str, dark: str) -> None:
        self._lit_colour, self._dark_colour = QColor(lit), QColor(dark)
        self.update()

    def show_level(self, level_dbfs: float, on: bool) -> None:
        self._level_dbfs = max(level_dbfs if on else QUIET_DBFS, self._level_dbfs - FALL_DB, QUIET_DBFS)
        share = (self._level_dbfs - QUIET_DBFS) / (LOUD_DBFS - QUIET_DBFS)
        lit = min(N_BARS, round(share * N_BARS)) if on else 0
        if (lit, on) != (self._lit, self._on):  # most levels change nothing that can be seen
            self._lit, self._on = lit, on
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  # Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        pitch = self.width() / N_BARS
        for bar in range(N_BARS):
            # Lit bars are taller too: the level can be read without telling the colours apart.
            height = self.height() if bar < self._lit else self.height() * 0.35
            painter.setBrush(self._lit_colour if bar < self._lit else self._dark_colour)
            painter.drawRoundedRect(QRectF(bar * pitch, (self.height() - height) / 2, pitch * 0.6, height), 2, 2)


class StateCard(QFrame):
    """Icon, word, detail and level meter."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self.setAccessibleName("State")
        self.icon, self.word, self.detail, self.meter = QLabel(), QLabel(), QLabel(), LevelMeter()
        self.detail.setObjectName("muted")
        self.detail.setWordWrap(True)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.word)
        words.addWidget(self.detail)
        top = QHBoxLayout()
        top.setSpacing(14)
        top.addWidget(self.icon, 0, Qt.AlignmentFlag.AlignVCenter)
        top.addLayout(words, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 14)
        layout.setSpacing(10)
        layout.addLayout(top)
        layout.addWidget(self.meter)
        self._theme: Theme | None = None
        self._size_pt = 11.0
        self._state: tuple[str, Phase] | None = None

    def set_theme(self, theme: Theme, size_pt: float) -> None:
        self._theme, self._size_pt = theme, size_pt
        self._paint_state()

    def show_view(self, view: View, talk_key: str) -> None:
        state = state_of(view)
        if state != self._state:
            self._state = state
            self._paint_state()
        detail = detail_of(view, talk_key)
        if detail != self.detail.text():
            self.detail.setText(detail)
        listens = (view.microphone_on or view.push_to_talk) and not has_problem(view, "microphone")
        self.meter.show_level(view.level_dbfs, listens)

    def _paint_state(self) -> None:
        if self._theme is None or self._state is None:
            return
        word, phase = self._state
        colour = self._theme.phases[phase]
        size_px = round(self._size_pt * 4.2)
        self.icon.setPixmap(pixmap(f"state-{phase.value}", colour, size_px, self.devicePixelRatioF()))
        self.icon.setFixedSize(size_px, size_px)
        self.word.setText(word)
        self.word.setStyleSheet(f"color: {colour}; font-size: {self._size_pt * 1.8:.1f}pt; font-weight: 600;")
        self.word.setAccessibleName(f"State: {word}")
        self.meter.set_colours(colour, self._theme.line)
