"""Earlier conversations are found, read, exported and deleted in the window, from the real file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt

from app.history import History
from app.ui.history_dialog import HistoryDialog
from app.ui.ports import WindowParts
from app.view import TranscriptTurn
from tests.app.ui.conftest import Desk, spin_until
from tests.app.ui.scripted import ScriptedAssistant, parts


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "history.sqlite3"
    history = History(path)
    for number, (asked, answered) in enumerate((("what do you see", "A red cup."), ("hello", "Hello, Anna. 100 %_x"))):
        key = history.begin("flash-mini", 1.7e9 + number * 3600)
        history.save(key, TranscriptTurn(1, "user", 1.0, asked, spoken=True, done=True))
        history.save(key, TranscriptTurn(2, "assistant", 2.0, answered, spoken=True, done=True))
    history.close()
    return path


@pytest.fixture
def dialog(open_desk: Callable[..., Desk], file: Path) -> HistoryDialog:
    assistant = ScriptedAssistant()
    made = parts(assistant)
    window_parts = WindowParts(
        made.settings, made.compose, made.list_devices, made.latest_picture, open_history=lambda: History(file)
    )
    desk = open_desk(window_parts, assistant)
    desk.window.actions_.history.trigger()
    found = desk.window.findChild(HistoryDialog)
    assert found is not None
    spin_until(lambda: found.list.count() == 2, "the list")
    return found


def test_the_search_finds_what_was_said_by_either_side(file: Path) -> None:
    history = History(file)
    assert [s.first_words for s in history.search("")] == ["hello", "what do you see"]
    assert [s.first_words for s in history.search("RED")] == ["what do you see"]
    assert [s.first_words for s in history.search("%_")] == ["hello"]  # no wildcards
    assert history.search("green") == ()
    assert history.search("hello")[0].turns == 2
    history.close()


def test_a_conversation_is_found_read_and_exported(dialog: HistoryDialog, tmp_path: Path) -> None:
    dialog.search.setText("cup")
    spin_until(lambda: dialog.list.count() == 1, "one is found")
    assert dialog.note.text() == "1 conversation"
    dialog.list.setCurrentRow(0)
    spin_until(lambda: "A red cup." in dialog.text.toPlainText(), "it is shown")
    dialog.export_to(str(tmp_path / "talk.txt"))
    assert "You: what do you see" in (tmp_path / "talk.txt").read_text(encoding="utf-8")
    dialog.export_to(str(tmp_path / "no" / "folder.txt"))
    assert "could not be exported" in dialog.note.text()
    dialog.close()


def test_deleting_one_leaves_the_others(dialog: HistoryDialog, file: Path) -> None:
    dialog.delete.click()
    assert "Choose" in dialog.note.text()
    row = next(n for n in range(2) if "hello" in dialog.list.item(n).text())
    dialog.list.setCurrentRow(row)
    dialog.delete.click()
    spin_until(lambda: dialog.list.count() == 1, "it is gone")
    left = History(file)
    assert [s.first_words for s in left.conversations()] == ["what do you see"]
    left.close()
    dialog.close()


def test_everything_in_it_has_a_name_and_a_damaged_file_is_said(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    bad = tmp_path / "bad.sqlite3"
    bad.write_bytes(b"this is no database" * 100)
    assistant = ScriptedAssistant()
    made = parts(assistant)
    desk = open_desk(
        WindowParts(
            made.settings, made.compose, made.list_devices, made.latest_picture, open_history=lambda: History(bad)
        ),
        assistant,
    )
    desk.window.actions_.history.trigger()
    dialog = desk.window.findChild(HistoryDialog)
    assert dialog is not None
    spin_until(lambda: "cannot be used" in dialog.note.text(), "the message")
    for widget in (dialog.search, dialog.list, dialog.text):
        assert widget.accessibleName()
        assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    dialog.close()
