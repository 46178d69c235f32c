"""The transcript pane: what is written bit by bit equals what is written at once."""

from __future__ import annotations

import time

import shiboken6
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QApplication

from app.ui.theme import LIGHT
from app.ui.transcript import TranscriptPane
from app.ui.transcript_text import as_text
from app.view import TranscriptTurn

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
