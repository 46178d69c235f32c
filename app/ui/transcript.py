"""The transcript pane: both sides, with times; text grows as it is heard."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QResizeEvent, QTextBlockFormat, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit, QWidget

from app.ui.theme import Theme
from app.ui.transcript_text import SPEAKERS, body_text, clock_text, cut_text
from app.view import TranscriptTurn


class TranscriptPane(QTextEdit):
    """Read-only text that a screen reader can walk through with its usual keys.

    Only what changed is written again: everything from the first turn that differs, which is nearly always the last
    one. The view stays where the reader is, and follows the talk when the reader is at the end.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setAccessibleName("Transcript")
        self.setPlaceholderText("What you say and what Sightline answers appears here.")
        self._turns: tuple[TranscriptTurn, ...] = ()
        self._started_at_unix_s = 0.0
        self._starts: list[int] = []  # where each turn begins in the document
        self._theme: Theme | None = None
        self._size_pt = 11.0

    @property
    def turns(self) -> tuple[TranscriptTurn, ...]:
        return self._turns

    def set_theme(self, theme: Theme, size_pt: float) -> None:
        self._theme, self._size_pt = theme, size_pt
        shown, self._turns, self._starts = self._turns, (), []
        self.clear()
        self.show_turns(shown, self._started_at_unix_s)

    def show_turns(self, turns: tuple[TranscriptTurn, ...], started_at_unix_s: float) -> None:
        if turns is self._turns or self._theme is None:
            return
        bar = self.verticalScrollBar()
        follow, place = bar.value() >= bar.maximum() - 4, bar.value()
        self._drop_oldest(turns)
        same = 0
        if started_at_unix_s == self._started_at_unix_s:
            for old, new in zip(self._turns, turns, strict=False):
                if old is not new and old != new:
                    break
                same += 1
        if same == 0:
            self.clear()  # an emptied document would keep the formats of what stood in it
            self._starts.clear()
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        if same < len(self._starts):
            cursor.setPosition(self._starts[same])
            cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
            cursor.removeSelectedText()
            del self._starts[same:]
        cursor.movePosition(QTextCursor.MoveOperation.End)
        for turn in turns[same:]:
            self._starts.append(cursor.position())
            self._write(cursor, turn, started_at_unix_s)
        cursor.endEditBlock()
        self._turns, self._started_at_unix_s = turns, started_at_unix_s
        bar.setValue(bar.maximum() if follow else place)

    def _drop_oldest(self, turns: tuple[TranscriptTurn, ...]) -> None:
        """Removes the turns at the top that are no longer shown; writing all others anew would take too long."""
        if not turns or not self._turns:
            return
        gone = next((n for n, turn in enumerate(self._turns) if turn == turns[0]), 0)
        if gone == 0:
            return
        length = self._starts[gone] + 1  # with the paragraph break that stood before the first turn that stays
        cursor = QTextCursor(self.document())
        cursor.setPosition(length, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        cursor.setBlockFormat(QTextBlockFormat())  # the first turn has no distance above it
        self._turns = self._turns[gone:]
        self._starts = [0, *(start - length for start in self._starts[gone + 1 :])]

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  # Qt's name
        bar = self.verticalScrollBar()
        follow = bar.value() >= bar.maximum() - 4
        super().resizeEvent(event)
        if follow:
            bar.setValue(bar.maximum())

    def _write(self, cursor: QTextCursor, turn: TranscriptTurn, started_at_unix_s: float) -> None:
        """Writes one turn; begins a new paragraph first unless the document is empty."""
        theme = self._theme
        assert theme is not None
        # The position kept in _starts is before this paragraph break, so that removing a turn removes its break too.
        heading = QTextBlockFormat()
        heading.setTopMargin(0 if cursor.position() == 0 else self._size_pt * 1.1)
        if cursor.position() == 0:
            cursor.setBlockFormat(heading)
        else:
            cursor.insertBlock(heading)
        time_text = clock_text(turn, started_at_unix_s)
        if turn.role == "notice":
            cursor.insertText(f"{time_text}  {turn.text}", self._format(theme.muted, italic=True))
            return
        name_colour = theme.accent if turn.role == "assistant" else theme.text
        cursor.insertText(SPEAKERS[turn.role], self._format(name_colour, bold=True, scale=0.92))
        cursor.insertText(f"  {time_text}", self._format(theme.muted, scale=0.85))
        body = QTextBlockFormat()
        body.setTopMargin(self._size_pt * 0.15)
        body.setLineHeight(125, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        cursor.insertBlock(body)
        pending = not turn.text
        cursor.insertText(
            body_text(turn), self._format(theme.muted if pending else theme.text, italic=pending, scale=1.12)
        )
        if cut := cut_text(turn):
            cursor.insertText(f" — {cut}", self._format(theme.on_warning, italic=True))

    def _format(self, colour: str, *, bold: bool = False, italic: bool = False, scale: float = 1.0) -> QTextCharFormat:
        made = QTextCharFormat()
        made.setForeground(QColor(colour))
        made.setFontPointSize(self._size_pt * scale)
        made.setFontWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
        made.setFontItalic(italic)
        return made
