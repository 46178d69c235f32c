"""The buttons: what Sightline is for, what is on, and the text field."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.ui.actions import Actions
from app.ui.flow import FlowLayout
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


class Controls:
    """What can be done, in two groups that stand in different places: `purposes` (what Sightline is for, and the reply
    that is being spoken) and `switches` (what is on). `purposes.talk_held` is the hold-to-talk button.
    """

    def __init__(self, actions: Actions) -> None:
        self.purposes = Purposes(actions)
        self.switches = Switches(actions)

    def set_theme(self, theme: Theme, size_pt: float) -> None:
        self.purposes.set_theme(theme, size_pt)
        self.switches.set_theme(theme, size_pt)

    def show_view(self, view: View) -> None:
        self.purposes.show_view(view)
        self.switches.show_view(view)

    @property
    def in_order(self) -> tuple[QPushButton, ...]:
        """As Tab goes."""
        return (*self.purposes.in_order, *self.switches.in_order)


class Purposes(QWidget):
    """What Sightline is for: large buttons, and below them those for the reply of the moment."""

    talk_held = Signal(bool)

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.describe = _button("Describe", "Says what the camera sees (Ctrl+D)")
        self.read_aloud = _button("Read", "Reads the text in the picture aloud (Ctrl+R)")
        self.check = _button("Check again", "Looks anew and says whether the answers agree (Ctrl+H)")
        self._large = (self.describe, self.read_aloud, self.check)
        for button in self._large:
            button.setObjectName("purpose")
        self.talk = _button("Hold to talk", "Talk while held, with the mouse, the space bar or the push-to-talk key")
        self.repeat = _button("Repeat", "Repeats the last answer (Ctrl+E)")
        self.stop = _button("Stop", "Stops the reply (Esc)")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for buttons in (self._large, (self.talk, self.repeat, self.stop)):
            row = FlowLayout(max_columns=3)
            for button in buttons:
                row.addWidget(button)
            column.addLayout(row)
        for button, action in (
            (self.describe, actions.describe),
            (self.read_aloud, actions.read_aloud),
            (self.check, actions.check),
            (self.repeat, actions.repeat),
            (self.stop, actions.stop),
        ):
            button.clicked.connect(action.trigger)
        self.talk.pressed.connect(lambda: self.talk_held.emit(True))
        self.talk.released.connect(lambda: self.talk_held.emit(False))

    @property
    def in_order(self) -> tuple[QPushButton, ...]:
        return (*self._large, self.talk, self.repeat, self.stop)

    def set_theme(self, theme: Theme, size_pt: float) -> None:
        side = round(size_pt * 1.7)
        for button, name, colour in (
            (self.describe, "describe", theme.on_accent),
            (self.read_aloud, "read", theme.on_accent),
            (self.check, "check-again", theme.on_accent),
            (self.talk, "talk", theme.text),
            (self.repeat, "repeat", theme.text),
            (self.stop, "stop", theme.text),
        ):
            button.setIcon(icon(name, colour))
            button.setIconSize(QSize(side, side))

    def show_view(self, view: View) -> None:
        text = "Talk, then release" if view.push_to_talk else "Hold to talk"
        if self.talk.text() != text:
            self.talk.setText(text)


class Switches(QWidget):
    """What is on. Screen readers get a name that stays ("Microphone") and a state; eyes read the state in the text."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.microphone = _button("Microphone on", "Ctrl+M")
        self.camera = _button("Camera on", "Ctrl+K")
        self.privacy = _button("Both off", "Turns microphone and camera off, or both back on (F12)")
        for button, name in ((self.microphone, "Microphone"), (self.camera, "Camera")):
            button.setObjectName("switch")
            button.setCheckable(True)
            button.setAccessibleName(name)
        row = FlowLayout(self, max_columns=3)
        for button in self.in_order:
            row.addWidget(button)
        self._wire(self.microphone, actions.microphone)
        self._wire(self.camera, actions.camera)
        self.privacy.clicked.connect(actions.privacy.trigger)
        self._theme: Theme | None = None
        self._drawn: tuple[object, ...] = ()

    @property
    def in_order(self) -> tuple[QPushButton, ...]:
        return (self.microphone, self.camera, self.privacy)

    @staticmethod
    def _wire(button: QPushButton, action: QAction) -> None:
        def clicked() -> None:
            # Checked is what is on, not what was asked for: the next view says so.
            button.setChecked(not button.isChecked())
            action.trigger()

        button.clicked.connect(clicked)

    def set_theme(self, theme: Theme, size_pt: float) -> None:
        self._theme = theme
        side = round(size_pt * 1.7)
        self.privacy.setIcon(icon("privacy", theme.text))
        for button in self.in_order:
            button.setIconSize(QSize(side, side))
        self._drawn = ()

    def show_view(self, view: View) -> None:
        missing = {
            name for name, code in (("microphone", "microphone"), ("camera", "pictures")) if has_problem(view, code)
        }
        drawn = (view.microphone_on, view.camera_on, missing)
        if drawn == self._drawn or self._theme is None:
            return
        self._drawn = drawn
        for button, on, name in (
            (self.microphone, view.microphone_on, "microphone"),
            (self.camera, view.camera_on, "camera"),
        ):
            state = "off" if not on else "missing" if name in missing else "on"
            button.setText(f"No {name}" if state == "missing" else f"{name.capitalize()} {state}")
            button.setChecked(on)
            colours = {"on": Phase.LISTENING, "off": Phase.PAUSED, "missing": Phase.PAUSED}
            button.setIcon(icon(name if state == "on" else f"{name}-off", self._theme.phases[colours[state]]))
        self.privacy.setText("Both off" if view.microphone_on or view.camera_on else "Both on")
        # Never disabled: a focused button that goes dead throws a screen reader's user out of place.


class TypedQuestion(QWidget):
    """The text field and its button. `asked` carries what was typed."""

    asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = QLineEdit()
        self.field.setPlaceholderText("Type a question")
        self.field.setAccessibleName("Type a question")
        self.field.setAccessibleDescription("Enter sends it (Ctrl+L comes here)")
        self.field.setToolTip("Enter sends it (Ctrl+L comes here)")
        self.field.setMinimumWidth(40)
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
