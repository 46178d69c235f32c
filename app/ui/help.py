"""The list of keys, and what Sightline is and is not."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QTextEdit, QVBoxLayout, QWidget

from app.ui.actions import KEYS_HELP

ABOUT = (
    "Sightline hears you, sees what you point a camera at, and answers by voice. Everything stays on this machine "
    "unless you choose a remote engine; then a notice is visible the whole time.\n\n"
    "It can be wrong, and it sounds sure even then: ask again, from another angle. It is no mobility aid, and no "
    "substitute for a person in questions of medicine, money or law."
)


def show_keys(parent: QWidget, talk_key: str) -> None:
    keys_help = ((f"{talk_key} (hold)", "Push to talk: works while the microphone is off"), *KEYS_HELP)
    _show(parent, "Keys", "\n".join(f"{keys}:  {what}" for keys, what in keys_help))


def show_about(parent: QWidget) -> None:
    _show(parent, "About Sightline", ABOUT)


def _show(parent: QWidget, title: str, text: str) -> None:
    """Not modal for the program: talking goes on while it is open. Esc closes it."""
    dialog = QDialog(parent)
    dialog.setWindowTitle(title)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    heading = QLabel(title)
    heading.setObjectName("heading")
    words = QTextEdit()
    words.setReadOnly(True)
    words.setTabChangesFocus(True)
    words.setPlainText(text)
    words.setAccessibleName(title)
    words.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.close)
    layout = QVBoxLayout(dialog)
    layout.addWidget(heading)
    layout.addWidget(words, 1)
    layout.addWidget(buttons)
    dialog.resize(620, 520)
    words.setFocus()
    dialog.show()
