"""The history on a real SQLite file."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.history import History, HistoryError, transcript_json, transcript_text
from app.view import TranscriptTurn

ROOT = Path(__file__).parents[2]


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    opened = History(tmp_path / "deep" / "history.sqlite3")
    yield opened
    opened.close()
    opened.close()


def turn(number: int, role: str = "user", text: str = "hello", **more: object) -> TranscriptTurn:
    return TranscriptTurn(number, role, float(number), text, done=True, **more)  # type: ignore[arg-type]


def test_conversations_come_newest_first_with_what_was_heard(history: History) -> None:
    old = history.begin("flash-mini", 100.0)
    history.save(old, turn(1, text=""))
    history.save(old, turn(2, "assistant", "A red", spoken=True, cut=True, cut_by="interrupted", heard_ms=640))
    history.save(old, turn(1, text="What is it?", spoken=True))  # the transcription came later
    new = history.begin("flash-mini", 200.0)
    history.save(new, turn(1, text="Second"))
    history.begin("flash-mini", 300.0)  # nothing was said
    assert [(c.id, c.turns, c.first_words) for c in history.conversations()] == [
        (new, 1, "Second"),
        (old, 2, "What is it?"),
    ]
    assert history.turns(old) == (
        turn(1, text="What is it?", spoken=True),
        turn(2, "assistant", "A red", spoken=True, cut=True, cut_by="interrupted", heard_ms=640),
    )
    history.delete(old)
    assert [c.id for c in history.conversations()] == [new]
    assert history.turns(old) == ()
    history.delete_all()
    assert history.conversations() == ()


def test_what_was_saved_survives_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    code = (
        "import sys, time; from pathlib import Path; from app.history import History; from app.view import *\n"
        f"h = History(Path({str(path)!r})); c = h.begin('m')\n"
        "for n in range(1, 10**6):\n"
        "    h.save(c, TranscriptTurn(n, 'user', 0.0, 'x' * 1000, done=True)); print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(20):
        saved = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().split()
    process.stdout.close()
    process.wait(10)
    saved = int(rest[-1]) if rest and rest[-1].isdigit() else saved
    reopened = History(path)
    (conversation,) = reopened.conversations()
    assert conversation.turns >= saved - 1  # the last line may have been cut off
    reopened.close()


def test_files_that_are_none_of_ours_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    path.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(HistoryError, match="move the file away"):
        History(path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    database = sqlite3.connect(path)
    database.execute("pragma user_version = 99")
    database.close()
    with pytest.raises(HistoryError, match="version 99"):
        History(path)


def test_export() -> None:
    turns = (
        turn(1, text="What is it?", spoken=True),
        turn(2, "assistant", "A red", cut=True, cut_by="interrupted"),
        turn(3, text="", spoken=True),
    )
    lines = transcript_text(turns, 0.0).splitlines()
    assert [line.split("] ")[1] for line in lines] == [
        "You: What is it?",
        "Sightline: A red … (interrupted)",
        "You: (spoken, not transcribed)",
    ]
    data = json.loads(transcript_json(turns, 5.0))
    assert data["turns"][1]["cut_by"] == "interrupted"
