"""`main.py history`: the stored conversations, newest first."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from app.history import History, HistoryError, history_path, transcript_json, transcript_text
from commands.converse import printable
from commands.errors import EXIT_FAILED, EXIT_OK, EXIT_OUTPUT, EXIT_USAGE, CommandError


def main(argv: Sequence[str]) -> int:
    """Raises CommandError."""
    parser = argparse.ArgumentParser(prog="sightline history", description="Stored conversations, newest first.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--show", type=int, metavar="N", help="print conversation N")
    what.add_argument("--delete", type=int, metavar="N", help="delete conversation N")
    what.add_argument("--delete-all", action="store_true", help="delete every conversation")
    parser.add_argument("--json", action="store_true", help="with --show: as JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="with --show: write it into this file")
    options = parser.parse_args(argv)
    if options.show is None and (options.json or options.out is not None):
        parser.error("--json and --out go with --show N")
    if not history_path().exists():
        sys.stdout.write(f"Nothing is stored yet ({history_path()}).\n")
        return EXIT_OK
    try:
        with closing(History()) as history:
            if options.delete_all:
                history.delete_all()
            elif options.delete is not None:
                _check_known(history, options.delete)
                history.delete(options.delete)
            elif options.show is not None:
                _show(history, options.show, options.json, options.out)
            else:
                _list(history)
    except HistoryError as error:
        raise CommandError(EXIT_FAILED, str(error)) from error
    return EXIT_OK


def _list(history: History) -> None:
    conversations = history.conversations()
    if not conversations:
        sys.stdout.write(f"Nothing is stored yet ({history_path()}).\n")
    for conversation in conversations:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(conversation.started_at_unix_s))
        words = printable(conversation.first_words)[:60]
        sys.stdout.write(f"{conversation.id:>5}  {when}  {conversation.turns:>3} turns  {words}\n")


def _check_known(history: History, number: int) -> None:
    if number not in {conversation.id for conversation in history.conversations(limit=-1)}:
        raise CommandError(EXIT_USAGE, f"There is no conversation {number}.", "See: main.py history")


def _show(history: History, number: int, as_json: bool, out: Path | None) -> None:
    _check_known(history, number)
    started_s = next(c.started_at_unix_s for c in history.conversations(limit=-1) if c.id == number)
    turns = history.turns(number)
    text = transcript_json(turns, started_s) + "\n" if as_json else transcript_text(turns, started_s)
    if out is None:
        sys.stdout.write(text if as_json else "\n".join(map(printable, text.splitlines())) + "\n")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(EXIT_OUTPUT, f"{out} cannot be written: {error.strerror}.", "Give another file.") from error
