"""The transcript as words, for the pane, the clipboard and files. No Qt."""

from __future__ import annotations

import time
from collections.abc import Iterable

from app.view import TranscriptTurn

SPEAKERS = {"user": "You", "assistant": "Sightline", "notice": "Note"}


def clock_text(turn: TranscriptTurn, started_at_unix_s: float, *, seconds: bool = False) -> str:
    """The turn's time of day in the user's time zone."""
    moment = time.localtime(started_at_unix_s + turn.at_s)
    return time.strftime("%H:%M:%S" if seconds else "%H:%M", moment)


def body_text(turn: TranscriptTurn) -> str:
    """What was said. A spoken question stands as such until it has been written down."""
    if text := turn.text.strip():
        return text
    if turn.role == "user":
        return "(spoken)" if turn.done else "…"
    return "" if turn.done else "…"


def cut_text(turn: TranscriptTurn) -> str:
    """The mark of a reply that was cut off, in words; empty for the others."""
    if turn.unsure:
        return "(not sure: looking again gave another answer)"
    return f"({turn.cut_by or 'interrupted'})" if turn.cut else ""


def as_text(turns: Iterable[TranscriptTurn], started_at_unix_s: float) -> str:
    """The whole transcript as plain text, one paragraph a turn."""
    lines = []
    for turn in turns:
        said = " ".join(part for part in (body_text(turn), cut_text(turn)) if part)
        lines.append(f"[{clock_text(turn, started_at_unix_s, seconds=True)}] {SPEAKERS[turn.role]}: {said}")
    return "\n".join(lines) + ("\n" if lines else "")
