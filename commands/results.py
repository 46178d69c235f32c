"""What `converse` leaves in its folder: reply-N.wav, transcript.json and timing.json, of this run only."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.errors import EXIT_OUTPUT, CommandError

if TYPE_CHECKING:
    from commands.headless import Headless

TRANSCRIPT, TIMING = "transcript.json", "timing.json"
SOUND = re.compile(r"reply-\d+\.wav")
REMEDY = "Make room, or give another --out folder."
MAX_EARLIER_BYTES = 100_000_000


def check_output(folder: Path) -> None:
    """Makes the folder. Raises CommandError when nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))  # a full disk lets files be made, but not filled
            file.flush()
    except OSError as error:
        raise CommandError(EXIT_OUTPUT, f"Nothing can be written into {folder}: {error.strerror}.", REMEDY) from error


def write_results(run: Headless, folder: Path) -> dict[str, Any]:
    """Writes everything that can be written and returns the content of transcript.json.

    Sounds of an earlier run are taken away: those that its transcript.json names, and no other file.
    Raises CommandError when something could not be written.
    """
    earlier = _earlier_sounds(folder)
    problem: CommandError | None = None
    sounds: dict[int, str] = {}
    for count, (number, turn) in enumerate(run.replies, 1):
        path = folder / f"reply-{count}.wav"
        try:
            run.save_reply(number, path)
        except CommandError as error:
            problem = error  # what was said may still find room
            continue
        sounds[turn.number] = path.name
    summary, timing = _summary(run, sounds), _timing(run)
    try:
        for name in earlier - set(sounds.values()):
            (folder / name).unlink(missing_ok=True)
        _write_json(folder / TRANSCRIPT, summary)
        _write_json(folder / TIMING, timing)
    except OSError as error:
        raise CommandError(
            EXIT_OUTPUT,
            f"The results cannot be written into {folder}: {error.strerror}.",
            REMEDY,
        ) from error
    if problem is not None:
        raise problem
    return summary


def _summary(run: Headless, sounds: dict[int, str]) -> dict[str, Any]:
    view = run.view
    turns = [
        {
            "role": turn.role,
            "text": turn.text,
            "at_s": round(turn.at_s, 3),
            "spoken": turn.spoken,
            "heard_ms": turn.heard_ms,
            "cut": turn.cut,
            "cut_by": turn.cut_by,
            "sound": sounds.get(turn.number),
        }
        for turn in view.transcript
    ]
    return {
        "model": view.engine.model,
        "engine": {"url": view.engine.url, "remote": view.engine.remote},
        "started_at_unix_s": view.started_at_unix_s,
        "realtime": run.choice.realtime,
        "turns": turns,
        "problems": [asdict(problem) for problem in run.problems],
    }


def _timing(run: Headless) -> dict[str, Any]:
    return {
        "unit": "ms from the arrival of the user's last voiced sample (typed turns: from the commit)",
        "realtime": run.choice.realtime,
        "replies": [asdict(latency) for latency in run.latencies],
        "drop_outs": run.view.drop_outs,
        "lost_input_ms": run.view.lost_input_ms,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all: what is there stays until the new file is complete."""
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _earlier_sounds(folder: Path) -> set[str]:
    """The sound files that a transcript.json of ours names in this folder."""
    path = folder / TRANSCRIPT
    try:
        if path.stat().st_size > MAX_EARLIER_BYTES:
            return set()
        turns = json.loads(path.read_text("utf-8"))["turns"]
        names = {turn["sound"] for turn in turns if isinstance(turn["sound"], str)}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()  # none, or not one of ours
    return {name for name in names if SOUND.fullmatch(name)}
