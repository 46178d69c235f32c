"""Messages that must not be missed: problems with their remedies, and the notice that the engine is remote."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.ui.icons import pixmap
from app.ui.theme import Theme
from app.view import EngineInfo, Problem

MAX_SHOWN = 3  # with their remedies; more would push the conversation off the window
STOPPING = frozenset({"engine failed", "engine lost", "startup", "assistant"})  # nothing is answered until it is over
ELSEWHERE = frozenset({"pictures"})  # said once, where the picture would be: talking goes on without it


class ProblemBanner(QFrame):
    """The problems there are now with their remedies: what stops the conversation first, then the newest.

    It is as loud as they cost: red where nothing is answered, a plain notice where Sightline goes on with what there
    is. Hidden when there is none.
    """

    retry = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("problem")
        self.setAccessibleName("Problems")
        self._icon, self._words = QLabel(), QLabel()
        self._words.setWordWrap(True)
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self._words.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._words.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._retry = QPushButton("Try &again")
        self._retry.setAccessibleDescription("Starts the engine again")
        self._retry.clicked.connect(self.retry)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 10)
        layout.setSpacing(12)
        layout.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout()
        column.setSpacing(10)
        column.addWidget(self._words)
        column.addWidget(self._retry, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addLayout(column, 1)
        self._problems: tuple[Problem, ...] = ()
        self._theme: Theme | None = None
        self._size_pt = 11.0
        self._weight("notice")
        self.hide()

    @property
    def text(self) -> str:
        return self._words.text()

    def set_theme(self, theme: Theme, size_pt: float) -> None:
        self._theme, self._size_pt = theme, size_pt
        self._paint_icon()

    def show_problems(self, problems: tuple[Problem, ...], can_retry: bool) -> None:
        self._retry.setVisible(can_retry)
        here = tuple(problem for problem in problems if problem.code not in ELSEWHERE)
        if here == self._problems:
            return
        self._problems = here
        newest_first = here[::-1]
        ordered = sorted(newest_first, key=lambda problem: problem.code not in STOPPING)
        paragraphs = [f"{p.message} {p.remedy}".strip() for p in ordered[:MAX_SHOWN]]
        if len(ordered) > MAX_SHOWN:
            paragraphs.append("Also: " + " ".join(p.message for p in ordered[MAX_SHOWN:]))
        self._words.setText("\n\n".join(paragraphs))
        self._weight("stopping" if any(problem.code in STOPPING for problem in here) else "notice")
        self.setVisible(bool(here))

    def _weight(self, weight: str) -> None:
        if self.property("weight") == weight:
            return
        self.setProperty("weight", weight)
        for widget in (self, self._words):  # the style sheet looks at the property again
            widget.style().unpolish(widget)
            widget.style().polish(widget)
        self._paint_icon()

    def _paint_icon(self) -> None:
        if self._theme is None:
            return
        colour = self._theme.on_warning if self.property("weight") == "stopping" else self._theme.on_notice
        self._icon.setPixmap(pixmap("warning", colour, round(self._size_pt * 2.2), self.devicePixelRatioF()))


class RemoteBanner(QFrame):
    """Visible the whole time while sound and pictures leave this machine."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("remote")
        self.setAccessibleName("Remote engine")
        self._icon, self._words = QLabel(), QLabel()
        self._words.setWordWrap(True)
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        column = QVBoxLayout()
        column.addWidget(self._words)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(12)
        layout.addWidget(self._icon)
        layout.addLayout(column, 1)
        self.hide()

    def set_theme(self, theme: Theme, size_pt: float) -> None:
        self._icon.setPixmap(pixmap("remote", theme.on_remote, round(size_pt * 2), self.devicePixelRatioF()))

    def show_engine(self, engine: EngineInfo) -> None:
        self._words.setText(f"Remote engine: your voice and pictures are sent to {engine.url}" if engine.remote else "")
        self.setVisible(engine.remote)
