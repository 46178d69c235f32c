"""The buttons under the state: what is on, what to do, and the text field."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLineEdit, QPushButton, QSizePolicy, QWidget

from app.ui.actions import Actions
from app.ui.icons import icon
from app.ui.state_card import has_problem
from app.ui.theme import Theme
from app.view import Phase, View

MAX_TYPED = 4000  # characters; more is a document, not a question


def _button(text: str, description: str) -> QPushButton:
    button = QPushButton(text)
    button.setAccessibleDescription(description)
    button.setToolTip(description)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    button.setAutoDefault(False)
    return button


class Controls(QWidget):
    """Buttons that say what is ("Microphone on") or what they do ("Describe"); `talk_held` is the hold-to-talk one."""

    talk_held = Signal(bool)

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.microphone = _button("Microphone on", "Microphone on or off (Ctrl+M)")
        self.camera = _button("Camera on", "Camera on or off (Ctrl+K)")
        self.privacy = _button("Both off", "Turns microphone and camera off, or both back on (F12)")
        self.talk = _button("Hold to talk", "Talk while held, with the mouse, the space bar or the push-to-talk key")
        self.describe = _button("Describe", "Says what the camera sees (Ctrl+D)")
        self.read_aloud = _button("Read aloud", "Reads the text in the picture aloud (Ctrl+R)")
        self.repeat = _button("Repeat", "Repeats the last answer (Ctrl+E)")
        self.stop = _button("Stop", "Stops the reply (Esc)")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(8)
        pairs = (
            (self.microphone, self.camera),
            (self.talk, self.privacy),
            (self.describe, self.read_aloud),
            (self.repeat, self.stop),
        )
        for row, (left, right) in enumerate(pairs):
            grid.addWidget(left, row, 0)
            grid.addWidget(right, row, 1)
        self._wire(actions)
        self._theme: Theme | None = None
        self._drawn: tuple[object, ...] = ()

    def _wire(self, actions: Actions) -> None:
        wired: tuple[tuple[QPushButton, QAction], ...] = (
            (self.microphone, actions.microphone),
            (self.camera, actions.camera),
            (self.privacy, actions.privacy),
            (self.describe, actions.describe),
            (self.read_aloud, actions.read_aloud),
            (self.repeat, actions.repeat),
            (self.stop, actions.stop),
        )
        for button, action in wired:
            button.clicked.connect(action.trigger)
        self.talk.pressed.connect(lambda: self.talk_held.emit(True))
        self.talk.released.connect(lambda: self.talk_held.emit(False))

    def set_theme(self, theme: Theme, size_pt: float) -> None:
        self._theme = theme
        side = round(size_pt * 1.7)
        for button, name in (
            (self.talk, "talk"),
            (self.privacy, "privacy"),
            (self.describe, "describe"),
            (self.read_aloud, "read"),
            (self.repeat, "repeat"),
            (self.stop, "stop"),
        ):
            button.setIcon(icon(name, theme.text))
            button.setIconSize(QSize(side, side))
        for button in (self.microphone, self.camera):
            button.setIconSize(QSize(side, side))
        self._drawn = ()

    def show_view(self, view: View) -> None:
        missing = {
            name for name, code in (("microphone", "microphone"), ("camera", "pictures")) if has_problem(view, code)
        }
        drawn = (view.microphone_on, view.camera_on, missing, view.push_to_talk)
        if drawn == self._drawn or self._theme is None:
            return
        self._drawn = drawn
        for button, on, name in (
            (self.microphone, view.microphone_on, "Microphone"),
            (self.camera, view.camera_on, "Camera"),
        ):
            state = "off" if not on else "missing" if name.lower() in missing else "on"
            button.setText(f"No {name.lower()}" if state == "missing" else f"{name} {state}")
            colours = {"on": Phase.LISTENING, "off": Phase.PAUSED, "missing": Phase.FAILED}
            drawing = name.lower() if state == "on" else f"{name.lower()}-off"
            button.setIcon(icon(drawing, self._theme.phases[colours[state]]))
        self.privacy.setText("Both off" if view.microphone_on or view.camera_on else "Both on")
        self.talk.setText("Talk, then release" if view.push_to_talk else "Hold to talk")
        # Never disabled: a focused button that goes dead throws a screen reader's user out of place.


class TypedQuestion(QWidget):
    """The text field and its button. `asked` carries what was typed."""

    asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = QLineEdit()
        self.field.setPlaceholderText("Type a question (Ctrl+L), Enter sends it")
        self.field.setAccessibleName("Type a question")
        self.field.setMaxLength(MAX_TYPED)
        self.field.returnPressed.connect(self._ask)
        self.send = QPushButton("Send")
        self.send.setAccessibleDescription("Sends what was typed (Enter)")
        self.send.clicked.connect(self._ask)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.field, 1)
        layout.addWidget(self.send)

    def set_theme(self, theme: Theme, size_pt: float) -> None:
        self.send.setIcon(icon("send", theme.text))
        self.send.setIconSize(QSize(round(size_pt * 1.6), round(size_pt * 1.6)))

    def _ask(self) -> None:
        text = self.field.text().strip()
        if text:
            self.field.clear()
            self.asked.emit(text)
