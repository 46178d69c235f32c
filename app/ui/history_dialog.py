"""Earlier conversations: search, read, export, delete. The file is read in a worker thread, never in Qt's."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QThreadPool, QTimer, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.history import ConversationSummary, History, HistoryError
from app.ui.fitting import fit_to_screen
from app.ui.flow import FlowLayout
from app.ui.saving import ask_place
from app.ui.transcript_text import as_text
from app.view import TranscriptTurn

TYPING_MS = 250
"""After the last key the search begins."""
ANSWER_MS = 10_000


def line_of(summary: ConversationSummary) -> str:
    """One conversation as one line: "24 Nov 2026 13:05, 12 turns: what do you see"."""
    day = time.strftime("%d %b %Y %H:%M", time.localtime(summary.started_at_unix_s))
    return f"{day}, {summary.turns} turns: {summary.first_words or '(nothing was said)'}"


class _Reader(QObject):
    """Does one thing at a time with the history in a worker thread; the newest answer wins."""

    listed = Signal(object)
    opened = Signal(object)
    failed = Signal(str)

    def __init__(self, open_history: Callable[[], History], parent: QObject) -> None:
        super().__init__(parent)
        self._open_history = open_history
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)

    def search(self, words: str) -> None:
        self._do(lambda history: self.listed.emit(history.search(words)))

    def open(self, summary: ConversationSummary) -> None:
        self._do(lambda history: self.opened.emit((summary, history.turns(summary.id))))

    def delete(self, summary: ConversationSummary, words: str) -> None:
        def work(history: History) -> None:
            history.delete(summary.id)
            self.listed.emit(history.search(words))

        self._do(work)

    def finish(self) -> None:
        """Waits for what runs."""
        self._pool.waitForDone(ANSWER_MS)

    def _do(self, work: Callable[[History], None]) -> None:
        def run() -> None:
            try:
                history = self._open_history()
                try:
                    work(history)
                finally:
                    history.close()
            except HistoryError as error:
                self.failed.emit(str(error))

        self._pool.start(run)


class HistoryDialog(QDialog):
    """`told` carries a short message of the moment ("Conversation saved as …")."""

    told = Signal(str)

    def __init__(self, open_history: Callable[[], History], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Earlier conversations")
        self._reader = _Reader(open_history, self)
        self._shown: tuple[ConversationSummary, tuple[TranscriptTurn, ...]] | None = None
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search")
        self.search.setAccessibleName("Search")
        self.search.setAccessibleDescription("Words that were said; empty lists all")
        self.list = QListWidget()
        self.list.setAccessibleName("Conversations")
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName("Conversation")
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        self.export = QPushButton("&Export …")
        self.delete = QPushButton("&Delete")
        self.delete.setAccessibleDescription("Deletes the chosen conversation for good")
        row = FlowLayout(max_columns=2)
        for button in (self.export, self.delete):
            button.setAutoDefault(False)
            row.addWidget(button)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        for widget, stretch in ((self.search, 0), (self.list, 1), (self.note, 0), (self.text, 2)):
            column.addWidget(widget, stretch)
        column.addLayout(row)
        column.addWidget(buttons)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._typing.timeout.connect(self._search)
        self.search.textChanged.connect(lambda _text: self._typing.start())
        self.list.currentItemChanged.connect(lambda item, _before: self._open(item))
        self.export.clicked.connect(self._export)
        self.delete.clicked.connect(self._delete)
        self._reader.listed.connect(self._list)
        self._reader.opened.connect(self._show)
        self._reader.failed.connect(self._say)
        self.finished.connect(lambda _result: self._reader.finish())
        fit_to_screen(self, 720, 640)
        self._search()

    def _search(self) -> None:
        self._reader.search(self.search.text().strip())

    def _list(self, found: tuple[ConversationSummary, ...]) -> None:
        self.list.clear()
        for summary in found:
            item = QListWidgetItem(line_of(summary))
            item.setData(Qt.ItemDataRole.UserRole, summary)
            self.list.addItem(item)
        self._say(f"{len(found)} conversations" if len(found) != 1 else "1 conversation")
        if not found:
            self.text.clear()
            self._shown = None

    def _open(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self._reader.open(item.data(Qt.ItemDataRole.UserRole))

    def _show(self, opened: tuple[ConversationSummary, tuple[TranscriptTurn, ...]]) -> None:
        self._shown = opened
        summary, turns = opened
        self.text.setPlainText(as_text(turns, summary.started_at_unix_s))

    def _delete(self) -> None:
        item = self.list.currentItem()
        if item is None:
            self._say("Choose a conversation first.")
            return
        self._reader.delete(item.data(Qt.ItemDataRole.UserRole), self.search.text().strip())

    def _export(self) -> None:
        if self._shown is None:
            self._say("Choose a conversation first.")
            return
        ask_place(self, "Export the conversation", "sightline-conversation.txt", "Text", self.export_to)

    def export_to(self, path: str) -> None:
        """Writes what is shown."""
        if self._shown is None:
            return
        summary, turns = self._shown
        try:
            Path(path).write_text(as_text(turns, summary.started_at_unix_s), encoding="utf-8")
        except OSError as error:
            self._say(f"The conversation could not be exported: {error}")
            return
        self._say(f"Exported as {Path(path).name}")

    def _say(self, text: str) -> None:
        self.note.setText(text)
        self.told.emit(text)
