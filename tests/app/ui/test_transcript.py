"""The transcript pane: what is written bit by bit equals what is written at once."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import shiboken6
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QBuffer, QIODevice, QPoint, Qt
from PySide6.QtGui import QColor, QImage, QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from app.ui.picture_dialog import PictureDialog
from app.ui.saving import Saver
from app.ui.theme import LIGHT
from app.ui.transcript import TranscriptPane
from app.ui.transcript_text import as_text
from app.view import TranscriptTurn
from tests.app.ui.conftest import spin_until

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12)
TURNS = st.builds(
    TranscriptTurn,
    number=st.integers(0, 5),
    role=st.sampled_from(["user", "assistant", "notice"]),
    at_s=st.floats(0, 90_000),
    text=WORDS,
    done=st.booleans(),
    cut=st.booleans(),
    cut_by=st.sampled_from(["", "interrupted", "engine lost"]),
)


def made_at_once(turns: tuple[TranscriptTurn, ...], started_at_unix_s: float = 0.0) -> TranscriptPane:
    pane = TranscriptPane()
    pane.resize(400, 300)
    pane.set_theme(LIGHT, 11.0)
    pane.show_turns(turns, started_at_unix_s)
    return pane


@given(steps=st.lists(st.lists(TURNS, max_size=4), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_any_order_of_changes_ends_in_the_same_text(
    application: QApplication, steps: list[list[TranscriptTurn]]
) -> None:
    pane = made_at_once(())
    for step in steps:
        pane.show_turns(tuple(step), 0.0)
        whole = made_at_once(tuple(step))
        assert pane.toPlainText() == whole.toPlainText()
        assert pane.document().toHtml() == whole.document().toHtml()
        shiboken6.delete(whole)
    shiboken6.delete(pane)


@given(drops=st.lists(st.integers(0, 4), max_size=5), growing=st.lists(WORDS, min_size=5, max_size=5))
@settings(max_examples=20, deadline=None)
def test_turns_that_fall_out_at_the_top_leave_the_rest(
    application: QApplication, drops: list[int], growing: list[str]
) -> None:
    turns = [TranscriptTurn(n, "assistant", float(n), f"turn {n}\nline", done=True) for n in range(8)]
    pane = made_at_once(tuple(turns))
    for n_gone, text in zip(drops, growing, strict=False):
        turns = [*turns[n_gone:], TranscriptTurn(turns[-1].number + 1, "user", 9.0, text)]
        pane.show_turns(tuple(turns), 0.0)
        whole = made_at_once(tuple(turns))
        assert pane.toPlainText() == whole.toPlainText()
        assert pane.document().toHtml() == whole.document().toHtml()
        shiboken6.delete(whole)
    shiboken6.delete(pane)


def test_both_sides_their_times_and_the_mark_of_a_cut(application: QApplication) -> None:
    started_at_unix_s = time.mktime((2026, 1, 2, 14, 3, 0, 0, 0, -1))
    turns = (
        TranscriptTurn(0, "user", 5.0, "What is this?", spoken=True, done=True),
        TranscriptTurn(1, "assistant", 7.0, "A cup, and a", spoken=True, done=True, cut=True, cut_by="interrupted"),
        TranscriptTurn(2, "user", 70.0, spoken=True),
        TranscriptTurn(3, "notice", 71.0, "The engine was restarted.", done=True),
    )
    pane = made_at_once(turns, started_at_unix_s)
    text = pane.toPlainText()
    shiboken6.delete(pane)
    assert text == (
        "You  14:03\nWhat is this?\nSightline  14:03\nA cup, and a — (interrupted)\nYou  14:04\n…\n"
        "14:04  The engine was restarted."
    )
    assert as_text(turns[:2], started_at_unix_s) == (
        "[14:03:05] You: What is this?\n[14:03:07] Sightline: A cup, and a (interrupted)\n"
    )


def test_it_follows_the_talk_only_when_the_reader_is_at_the_end(application: QApplication) -> None:
    turns = tuple(TranscriptTurn(n, "assistant", n, "some words " * 30, done=True) for n in range(10))
    pane = made_at_once(turns)
    pane.show()
    bar = pane.verticalScrollBar()
    bar.setValue(bar.maximum())  # the first showing may round the height by a pixel
    assert bar.maximum() > 0
    pane.show_turns((*turns, TranscriptTurn(10, "user", 10, "more " * 60, done=True)), 0.0)
    assert bar.value() == bar.maximum()
    bar.setValue(3)
    pane.show_turns((*turns, TranscriptTurn(10, "user", 10, "more " * 99, done=True)), 0.0)
    assert bar.value() == 3
    shiboken6.delete(pane)


def test_a_selection_in_earlier_text_survives_growing_text(application: QApplication) -> None:
    first = TranscriptTurn(0, "user", 0, "Hello there", done=True)
    pane = made_at_once((first,))
    cursor = pane.textCursor()
    cursor.setPosition(8)
    cursor.setPosition(13, QTextCursor.MoveMode.KeepAnchor)
    pane.setTextCursor(cursor)
    selected = pane.textCursor().selectedText()
    assert selected
    for n in range(5):
        pane.show_turns((first, TranscriptTurn(1, "assistant", 1, "word " * n)), 0.0)
    assert pane.textCursor().selectedText() == selected
    shiboken6.delete(pane)


def jpeg(red: int, green: int, blue: int) -> bytes:
    image = QImage(320, 180, QImage.Format.Format_RGB32)
    image.fill(QColor(red, green, blue))
    data = QBuffer()
    data.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(data, "JPG")  # type: ignore[call-overload]
    return bytes(data.data().data())


RED, BLUE = jpeg(220, 30, 30), jpeg(30, 30, 220)


def answer(number: int, picture: bytes, text: str = "I see a cup.") -> TranscriptTurn:
    return TranscriptTurn(number, "assistant", float(number), text, done=True, picture=picture)


def patches(pane: TranscriptPane, colour: tuple[int, int, int]) -> list[int]:
    """The rows at the right edge of the pane where a thumbnail of this colour begins."""
    pixels = pane.viewport().grab().toImage()
    column = pixels.width() - 30
    like = [
        all(abs(pixels.pixelColor(column, y).getRgb()[n] - colour[n]) < 20 for n in range(3))  # type: ignore[operator]
        for y in range(pixels.height())
    ]
    return [y for y in range(len(like)) if like[y] and not like[y - 1]]


def test_the_picture_of_an_answer_stands_beside_it_and_opens(application: QApplication) -> None:
    pane = made_at_once(())
    pane.resize(600, 400)
    pane.show()
    question = TranscriptTurn(1, "user", 1.0, "What do you see?", done=True)
    growing = replace(answer(2, RED, "I see"), done=False)
    pane.show_turns((question, growing), 0.0)
    assert patches(pane, (220, 30, 30)) == []  # not while the text grows
    turns = (question, answer(2, RED), answer(3, RED), answer(4, BLUE))
    pane.show_turns(turns, 0.0)
    assert len(patches(pane, (220, 30, 30))) == 1  # the same picture once
    (top,) = patches(pane, (30, 30, 220))
    assert "\ufffc" not in pane.toPlainText()
    wanted: list[TranscriptTurn] = []
    pane.picture_wanted.connect(wanted.append)
    QTest.mouseClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(pane.viewport().width() - 30, top + 5))
    QTest.mouseClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(20, top + 5))
    assert [turn.number for turn in wanted] == [4]
    pane.show_turns((answer(2, BLUE),), 5.0)  # another conversation counts its turns anew
    assert patches(pane, (220, 30, 30)) == []
    assert len(patches(pane, (30, 30, 220))) == 1
    pane.resize(330, 400)
    pane.show_turns((answer(2, RED),), 6.0)
    assert patches(pane, (220, 30, 30)) == []  # the words need the room
    assert pane.picture_turn() == answer(2, RED)
    pane.show_turns((question,), 7.0)
    assert pane.picture_turn() is None
    shiboken6.delete(pane)


def test_the_picture_dialog_shows_and_saves(application: QApplication, tmp_path: Path) -> None:
    parent = QWidget()
    saver, told = Saver(parent), []
    saver.told.connect(told.append)
    dialog = PictureDialog(answer(1, RED), saver, parent)
    dialog.show()
    assert "I see a cup." in dialog.picture.accessibleName()
    shown = dialog.picture.pixmap().toImage()
    assert shown.pixelColor(shown.width() // 2, shown.height() // 2).red() > 200
    for number, place in enumerate((tmp_path, tmp_path / "nowhere"), start=1):
        dialog.save_to(str(place / "cup.jpg"))
        spin_until(lambda number=number: len(told) == number, "it is told")
    assert (tmp_path / "cup.jpg").read_bytes() == RED
    assert told[0] == "Picture saved as cup.jpg"
    assert told[1].startswith("The picture could not be saved:")
    shiboken6.delete(parent)
