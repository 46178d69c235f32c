"""The first screen, until something has been said: what answers, what it cannot do, and three things to ask."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.ui.flow import FlowLayout
from app.view import EngineInfo

QUESTIONS = ("What do you see?", "What can you do?", "What is two plus three?")
PURPOSE = (
    "Speak whenever the state says Listening, or type. Ctrl+D describes what the camera sees, Ctrl+R reads the text "
    "in it."
)
LIMITS = (
    "It can be wrong and sound sure. It is no mobility aid, and no substitute for a person in questions of medicine, "
    "money or law."
)
FLASH_MINI = (
    "The model that answers is flash-mini, a small one: short English talk, numbers, days and animals, and simple "
    "pictures of twelve kinds of things (circle, square, triangle, star, heart, cup, house, tree, car, fish, bottle, "
    "chair) and printed words. Outside of that it may not understand, or be wrong."
)
NOISE = "The model is made of random weights, for trying out: its answers are noise."


def about_model(engine: EngineInfo) -> str:
    """What answers, in words for somebody who starts Sightline for the first time."""
    if engine.remote:
        return f"A remote engine answers: your voice and pictures are sent to {engine.url}."
    if not engine.model:
        return "The model is being loaded; what you ask until then is answered when it is there."
    if engine.model.startswith("flash-mini"):
        return FLASH_MINI
    if "random" in engine.model:
        return NOISE
    return f"The model that answers is {engine.model}, on this machine."


class Welcome(QScrollArea):
    """`asked` carries a question that was picked; `models_wanted` asks for the way to a larger model."""

    asked = Signal(str)
    models_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        card = QFrame()
        card.setObjectName("card")
        card.setAccessibleName("Welcome")
        self._title = _words("Ask about what you see, hear or wonder", "title")
        self._model = _words(about_model(EngineInfo()))
        self.texts = _words("Try one of these:", "heading")
        self.questions = tuple(QPushButton(f"“{question}”") for question in QUESTIONS)
        self.larger = QPushButton("Get a larger model …")
        self.larger.setAccessibleDescription("What this machine can run, and what it would be like")
        column = QVBoxLayout(card)
        column.setContentsMargins(20, 16, 20, 16)
        column.setSpacing(12)
        column.addWidget(self._title)
        column.addWidget(_words(PURPOSE))
        column.addWidget(self.texts)
        row = FlowLayout(max_columns=3)
        for button, question in zip(self.questions, QUESTIONS, strict=True):
            button.setAutoDefault(False)
            button.clicked.connect(lambda _checked=False, question=question: self.asked.emit(question))
            row.addWidget(button)
        column.addLayout(row)
        column.addWidget(self._model)
        self.larger.setAutoDefault(False)
        self.larger.clicked.connect(self.models_wanted)
        column.addWidget(self.larger, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(_words(LIMITS, "muted"))
        column.addStretch(1)
        self.setWidget(card)

    @property
    def in_order(self) -> tuple[QPushButton, ...]:
        return (*self.questions, self.larger)

    def show_engine(self, engine: EngineInfo) -> None:
        text = about_model(engine)
        if text != self._model.text():
            self._model.setText(text)


def _words(text: str, name: str = "") -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setObjectName(name)
    return label
