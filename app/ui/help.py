"""The list of keys, and what Sightline is and is not."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QFontMetricsF, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextOption
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTextEdit, QVBoxLayout, QWidget

from app.ui.actions import KEYS_HELP
from app.ui.fitting import fit_to_screen

ABOUT = (
    "Sightline hears you, sees what you point a camera at, and answers by voice. Everything stays on this machine "
    "unless you choose a remote engine; then a notice is visible the whole time.\n\n"
    "It can be wrong, and it sounds sure even then: ask again, from another angle. It is no mobility aid, and no "
    "substitute for a person in questions of medicine, money or law."
)


KEYS_EM = 9  # width of the column of keys, in units of the type size


def show_keys(parent: QWidget, talk_key: str) -> None:
    """Keys in groups, what they do beside them; each is one line of text, so that screen readers read it as one."""
    _show(parent, "Keys", lambda cursor: _write_keys(cursor, talk_key))


def show_about(parent: QWidget, model: str) -> None:
    _show(parent, "About Sightline", lambda cursor: cursor.insertText(f"{ABOUT}\n\n{model}\n\n{_version()}"))


def _version() -> str:
    try:
        number = importlib.metadata.version("sightline")
    except importlib.metadata.PackageNotFoundError:
        number = "not installed"
    return (
        f"Sightline {number}, licence Apache-2.0; flash-mini, the model that comes with it, likewise. Other models "
        "have licences of their own: the page “Get a larger model” names them."
    )


def _write_keys(cursor: QTextCursor, talk_key: str) -> None:
    size_pt = cursor.document().defaultFont().pointSizeF()
    column_px = KEYS_EM * QFontMetricsF(cursor.document().defaultFont()).height() * 0.75
    heading, line = QTextBlockFormat(), QTextBlockFormat()
    heading.setTopMargin(size_pt)
    line.setTabPositions([QTextOption.Tab(column_px, QTextOption.TabType.LeftTab)])
    line.setLeftMargin(column_px)  # a second line goes on below the first, not below the keys
    line.setTextIndent(-column_px)
    bold, plain = QTextCharFormat(), QTextCharFormat()
    bold.setFontWeight(QFont.Weight.DemiBold)
    for title, keys_help in KEYS_HELP:
        if cursor.position() == 0:
            cursor.setBlockFormat(QTextBlockFormat())
        else:
            cursor.insertBlock(heading)
        cursor.insertText(title, bold)
        for keys, what in keys_help:
            cursor.insertBlock(line)
            cursor.insertText(f"{keys.format(talk=talk_key)}\t{what}", plain)


def _show(parent: QWidget, title: str, write: Callable[[QTextCursor], None]) -> None:
    """Not modal for the program: talking goes on while it is open. Esc closes it."""
    dialog = QDialog(parent)
    dialog.setWindowTitle(title)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    words = QTextEdit()
    words.setReadOnly(True)
    words.setTabChangesFocus(True)
    words.setAccessibleName(title)
    words.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    words.ensurePolished()
    words.document().setDefaultFont(words.font())
    write(QTextCursor(words.document()))
    words.moveCursor(QTextCursor.MoveOperation.Start)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.close)
    layout = QVBoxLayout(dialog)
    layout.addWidget(words, 1)
    layout.addWidget(buttons)
    fit_to_screen(dialog, 660, 620)
    words.setFocus()
    dialog.show()
