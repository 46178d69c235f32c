"""The history: every conversation in one SQLite file, safe against crashes, newest first.

Owned by one thread at a time. Write-ahead logging with full synchronisation: what `save` returned from is on the disk.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from app.view import TranscriptTurn

SCHEMA_VERSION = 1
_SCHEMA = """
create table conversation (
    id integer primary key autoincrement,
    started_at_unix_s real not null,
    model text not null
);
create table turn (
    conversation_id integer not null references conversation (id) on delete cascade,
    number integer not null,
    role text not null check (role in ('user', 'assistant', 'notice')),
    at_s real not null,
    text text not null,
    spoken integer not null,
    cut integer not null,
    cut_by text not null,
    heard_ms integer not null,
    primary key (conversation_id, number)
) without rowid;
"""


def history_path() -> Path:
    """The file in the user's data folder (not created)."""
    return Path(platformdirs.user_data_dir("sightline", appauthor=False)) / "history.sqlite3"


class HistoryError(Exception):
    """The history cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    id: int
    started_at_unix_s: float
    model: str
    turns: int
    first_words: str
    """Of the user's first turn that has words."""


class History:
    """Raises HistoryError for a file that cannot be opened or written, is damaged, or is by a newer version."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path if path is not None else history_path()
        with self._errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=2.0)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def _open(self) -> None:
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.execute("pragma foreign_keys = on")
        with self._transaction():
            version = self._db.execute("pragma user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    if statement.strip():
                        self._db.execute(statement)
                self._db.execute(f"pragma user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise HistoryError(
                    f"The history {self.path} is of version {version}; this Sightline reads {SCHEMA_VERSION}. "
                    "Use a newer Sightline, or move the file away."
                )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise HistoryError(
                f"The history {self.path} cannot be used: {error}. Make room or move the file away, then start again."
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def begin(self, model: str, started_at_unix_s: float | None = None) -> int:
        """A new conversation; returns its id."""
        with self._errors(), self._transaction():
            cursor = self._db.execute(
                "insert into conversation (started_at_unix_s, model) values (?, ?)",
                (time.time() if started_at_unix_s is None else started_at_unix_s, model),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def save(self, conversation_id: int, turn: TranscriptTurn) -> None:
        """Adds the turn, or replaces the one of the same number."""
        with self._errors(), self._transaction():
            self._db.execute(
                "insert into turn values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set role = excluded.role,"
                " at_s = excluded.at_s, text = excluded.text, spoken = excluded.spoken, cut = excluded.cut,"
                " cut_by = excluded.cut_by, heard_ms = excluded.heard_ms",
                (
                    conversation_id,
                    turn.number,
                    turn.role,
                    turn.at_s,
                    turn.text,
                    turn.spoken,
                    turn.cut,
                    turn.cut_by,
                    turn.heard_ms,
                ),
            )

    def conversations(self, limit: int = 100) -> tuple[ConversationSummary, ...]:
        """Newest first; conversations in which nothing was said are left out."""
        with self._errors():
            rows = self._db.execute(
                "select c.id, c.started_at_unix_s, c.model, count(*), coalesce((select text from turn u where"
                " u.conversation_id = c.id and u.role = 'user' and u.text != '' order by u.number limit 1), '')"
                " from conversation c join turn t on t.conversation_id = c.id group by c.id"
                " order by c.started_at_unix_s desc, c.id desc limit ?",
                (limit,),
            ).fetchall()
        return tuple(ConversationSummary(*row) for row in rows)

    def search(self, words: str, limit: int = 100) -> tuple[ConversationSummary, ...]:
        """As `conversations`, of those in which either side said `words` (letters of either case); "" gives all."""
        if not words:
            return self.conversations(limit)
        pattern = "%" + words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        with self._errors():
            rows = self._db.execute(
                "select distinct conversation_id from turn where text like ? escape '\\'", (pattern,)
            ).fetchall()
        found = {row[0] for row in rows}
        return tuple(summary for summary in self.conversations(-1) if summary.id in found)[:limit]

    def turns(self, conversation_id: int) -> tuple[TranscriptTurn, ...]:
        """In order; empty for an unknown conversation."""
        with self._errors():
            rows = self._db.execute(
                "select number, role, at_s, text, spoken, cut, cut_by, heard_ms from turn where conversation_id = ?"
                " order by number",
                (conversation_id,),
            ).fetchall()
        return tuple(
            TranscriptTurn(number, role, at_s, text, bool(spoken), True, bool(cut), cut_by, heard_ms)
            for number, role, at_s, text, spoken, cut, cut_by, heard_ms in rows
        )

    def delete(self, conversation_id: int) -> None:
        with self._errors(), self._transaction():
            self._db.execute("delete from conversation where id = ?", (conversation_id,))

    def delete_all(self) -> None:
        with self._errors(), self._transaction():
            self._db.execute("delete from conversation")

    def close(self) -> None:
        """May be called twice."""
        self._db.close()


def transcript_text(turns: tuple[TranscriptTurn, ...], started_at_unix_s: float) -> str:
    """For reading and saving: one line a turn, with the time of day and a mark where a reply was cut."""
    names = {"user": "You", "assistant": "Sightline", "notice": "Notice"}
    lines = []
    for turn in turns:
        clock = time.strftime("%H:%M:%S", time.localtime(started_at_unix_s + turn.at_s))
        mark = f" … ({turn.cut_by})" if turn.cut else ""
        text = turn.text or ("(spoken, not transcribed)" if turn.role == "user" else "")
        lines.append(f"[{clock}] {names[turn.role]}: {text}{mark}".rstrip())
    return "\n".join(lines) + ("\n" if lines else "")


def transcript_json(turns: tuple[TranscriptTurn, ...], started_at_unix_s: float) -> str:
    """The same as JSON: every field of `TranscriptTurn` but the picture, which is never kept."""
    shown = [{name: value for name, value in asdict(turn).items() if name != "picture"} for turn in turns]
    return json.dumps(
        {"started_at_unix_s": started_at_unix_s, "turns": shown},
        ensure_ascii=False,
        indent=2,
    )
