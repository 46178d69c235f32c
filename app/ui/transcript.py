"""The transcript pane: both sides, with times; text grows as it is heard; beside an answer the picture it is about."""

from __future__ import annotations

from PySide6.QtCore import QBuffer, QByteArray, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QImageReader,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QTextEdit, QWidget

from app.ui.theme import Theme
from app.ui.transcript_text import SPEAKERS, body_text, clock_text, cut_text
from app.view import TranscriptTurn

THUMBNAIL_LINES = 2.9
"""Height of a thumbnail in lines of text: an answer has at least two, with its heading and the distance between."""
NARROW_PX = 420
"""In a pane narrower than this the words get all of the width."""


class TranscriptPane(QTextEdit):
    """Read-only text that a screen reader can walk through with its usual keys.

    Only what changed is written again: everything from the first turn that differs, which is nearly always the last
    one. The view stays where the reader is, and follows the talk when the reader is at the end.

    Thumbnails are painted beside the text, not put into it: a screen reader has nothing to stumble over. A click on one
    gives `picture_wanted` its turn; `picture_turn` is the one for the keyboard.
    """

    picture_wanted = Signal(object)

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
        self._thumbnails: dict[int, tuple[bytes, QPixmap]] = {}  # by the turn's number: of which picture, and it
        self._theme: Theme | None = None
        self._size_pt = 11.0

    @property
    def turns(self) -> tuple[TranscriptTurn, ...]:
        return self._turns

    def picture_turn(self) -> TranscriptTurn | None:
        """The answer with a picture that the text cursor stands in, else the newest; None: there is none."""
        with_picture = [turn for turn in self._turns if turn.picture]
        at = self.textCursor().position()
        if self.hasFocus():
            for start, turn in zip(reversed(self._starts), reversed(self._turns), strict=True):
                if start <= at:
                    if turn.picture:
                        return turn
                    break
        return with_picture[-1] if with_picture else None

    def set_theme(self, theme: Theme, size_pt: float) -> None:
        self._theme, self._size_pt = theme, size_pt
        self._thumbnails.clear()
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
        above = next((turn.picture for turn in reversed(turns[:same]) if turn.number in self._thumbnails), b"")
        for turn in turns[same:]:
            self._starts.append(cursor.position())
            thumbnail = self._thumbnail(turn, above)
            self._write(cursor, turn, started_at_unix_s, thumbnail)
            above = turn.picture if thumbnail is not None else above
        cursor.endEditBlock()
        self._turns, self._started_at_unix_s = turns, started_at_unix_s
        kept = {turn.number for turn in turns}
        self._thumbnails = {number: picture for number, picture in self._thumbnails.items() if number in kept}
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

    def _write(
        self, cursor: QTextCursor, turn: TranscriptTurn, started_at_unix_s: float, thumbnail: QPixmap | None
    ) -> None:
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
        if thumbnail is not None:
            heading.setRightMargin(thumbnail.deviceIndependentSize().width() + self._size_pt)
            cursor.setBlockFormat(heading)
        name_colour = theme.accent if turn.role == "assistant" else theme.text
        cursor.insertText(SPEAKERS[turn.role], self._format(name_colour, bold=True, scale=0.92))
        cursor.insertText(f"  {time_text}", self._format(theme.muted, scale=0.85))
        body = QTextBlockFormat()
        body.setTopMargin(self._size_pt * 0.15)
        body.setLineHeight(125, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        body.setRightMargin(heading.rightMargin())
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

    # --- thumbnails ---

    def _thumbnail(self, turn: TranscriptTurn, above: bytes) -> QPixmap | None:
        """Made once, when the answer is complete; None where it has no picture, or the same as the one `above`."""
        made_of, made = self._thumbnails.get(turn.number, (b"", None))
        if made is not None and made_of == turn.picture:
            return made
        self._thumbnails.pop(turn.number, None)
        if not (turn.done and turn.picture) or self.viewport().width() < NARROW_PX:
            return None
        if turn.picture == above:
            return None
        data = QBuffer()
        data.setData(QByteArray(turn.picture))
        reader = QImageReader(data)
        size, ratio = reader.size(), self.devicePixelRatioF()
        if size.isEmpty():
            return None
        height = round(THUMBNAIL_LINES * self.fontMetrics().lineSpacing() * ratio)
        reader.setScaledSize(QSize(max(1, round(size.width() * height / size.height())), height))
        made = QPixmap.fromImage(reader.read())
        if made.isNull():
            return None
        made.setDevicePixelRatio(ratio)
        self._thumbnails[turn.number] = (turn.picture, made)
        return made

    def _places(self) -> list[tuple[QRect, TranscriptTurn]]:
        """Where the thumbnails that can be seen are, in the viewport."""
        places, right = [], self.viewport().width() - round(self._size_pt / 2)
        for start, turn in zip(self._starts, self._turns, strict=True):
            if turn.number not in self._thumbnails:
                continue
            _, picture = self._thumbnails[turn.number]
            cursor = QTextCursor(self.document())
            cursor.setPosition(start if start == 0 else start + 1)
            size = picture.deviceIndependentSize().toSize()
            place = QRect(right - size.width(), self.cursorRect(cursor).top(), size.width(), size.height())
            if place.intersects(self.viewport().rect()):
                places.append((place, turn))
        return places

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  # Qt's name
        super().paintEvent(event)
        if self._thumbnails:
            painter = QPainter(self.viewport())
            for place, turn in self._places():
                painter.drawPixmap(place.topLeft(), self._thumbnails[turn.number][1])
            painter.end()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802  # Qt's name
        for place, turn in self._places():
            if place.contains(event.position().toPoint()) and not self.textCursor().hasSelection():
                self.picture_wanted.emit(turn)
                return
        super().mouseReleaseEvent(event)
