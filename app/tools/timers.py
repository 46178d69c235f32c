"""Timers and alarms: they ring by an announcement with a sound, whatever else goes on."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.tools.base import Arguments, Result, Room, Simple, Spec, Tool, ToolError, number, parameters, text

MAX_RUNNING = 20
LONGEST_S = 24 * 3600.0
_NUMBER = {"type": "number"}
_NAME = {"type": "string", "description": "What it is for, such as tea."}


@dataclass(frozen=True, slots=True)
class _Running:
    number: int
    what: str
    rings_at: datetime
    call_off: Callable[[], None]


class Timers:
    """Those that run. Its tools may be called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[_Running] = []
        self._last = 0

    def tools(self) -> tuple[Tool, ...]:
        return (
            Simple(
                Spec(
                    "set_timer",
                    "Timer",
                    "Rings after a while. Give the hours, minutes and seconds that the user named.",
                    parameters(hours=_NUMBER, minutes=_NUMBER, seconds=_NUMBER, name=_NAME),
                ),
                self._set_timer,
            ),
            Simple(
                Spec(
                    "set_alarm",
                    "Alarm",
                    "Rings at a time of day, today or, when that has passed, tomorrow.",
                    parameters(("time",), time={"type": "string", "description": "HH:MM, 24 hours"}, name=_NAME),
                ),
                self._set_alarm,
            ),
            Simple(Spec("list_timers", "Timers", "Which timers and alarms run, and when they ring."), self._list),
            Simple(
                Spec(
                    "cancel_timer",
                    "Timer",
                    "Calls off a timer or alarm, by its name; all of them without one.",
                    parameters(name=_NAME),
                ),
                self._cancel,
            ),
        )

    def stop(self) -> None:
        """Nothing rings any more."""
        with self._lock:
            running, self._running = self._running, []
        for timer in running:
            timer.call_off()

    def _set_timer(self, arguments: Arguments, room: Room) -> Result:
        given = {unit: number(arguments, unit) for unit in ("hours", "minutes", "seconds")}
        delay_s = sum((given[unit] or 0.0) * size for unit, size in (("hours", 3600), ("minutes", 60), ("seconds", 1)))
        if not 1.0 <= delay_s <= LONGEST_S:
            raise ToolError("A timer runs from one second to 24 hours; ask the user how long.")
        what = _what(text(arguments, "name"), "timer", in_words(delay_s))
        self._begin(room, delay_s, what)
        return Result(f"The {what} is set: it rings in {in_words(delay_s)}.")

    def _set_alarm(self, arguments: Arguments, room: Room) -> Result:
        found = re.fullmatch(r"(\d{1,2})(?::(\d{2}))?\s*(am|pm)?", text(arguments, "time").lower())
        hour, minute = (int(found[1]), int(found[2] or 0)) if found else (99, 0)
        if found and found[3] and 1 <= hour <= 12:
            hour = hour % 12 + (12 if found[3] == "pm" else 0)
        if hour > 23 or minute > 59:
            raise ToolError("The time has to be written as HH:MM, such as 07:30.")
        now = room.now()
        rings_at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        day = "today"
        if rings_at <= now:
            rings_at += timedelta(days=1)
            day = "tomorrow"
        what = _what(text(arguments, "name"), "alarm", f"{rings_at:%H:%M}")
        self._begin(room, (rings_at - now).total_seconds(), what)
        return Result(f"The {what} is set for {rings_at:%H:%M} {day}.")

    def _begin(self, room: Room, delay_s: float, what: str) -> None:
        with self._lock:
            now = room.now()
            self._running = [timer for timer in self._running if timer.rings_at > now]
            if len(self._running) >= MAX_RUNNING:
                raise ToolError(f"{MAX_RUNNING} timers run already; cancel one first.")
            self._last += 1
            call_off = room.later(delay_s, f"{what[:1].upper()}{what[1:]}: time is up.")
            self._running.append(_Running(self._last, what, now + timedelta(seconds=delay_s), call_off))

    def _list(self, arguments: Arguments, room: Room) -> Result:
        now = room.now()
        with self._lock:
            running = sorted((t for t in self._running if t.rings_at > now), key=lambda t: t.rings_at)
        if not running:
            return Result("No timer and no alarm runs.")
        return Result(
            " ".join(f"The {t.what} rings in {in_words((t.rings_at - now).total_seconds())}." for t in running)
        )

    def _cancel(self, arguments: Arguments, room: Room) -> Result:
        name = text(arguments, "name").lower()
        now = room.now()
        with self._lock:
            found = [t for t in self._running if t.rings_at > now and name in t.what.lower()]
            self._running = [t for t in self._running if t not in found]
        if not found:
            raise ToolError("No such timer or alarm runs.")
        for timer in found:
            timer.call_off()
        return Result(f"Called off: {', '.join(timer.what for timer in found)}.")


def _what(name: str, kind: str, when: str) -> str:
    name = name[:60]
    if not name:
        return f"{kind} of {when}" if kind == "timer" else f"{kind} for {when}"
    return name if kind in name.lower() else f"{name} {kind}"


def in_words(seconds: float) -> str:
    """A duration as people say it: the two largest units."""
    left = round(seconds)
    parts = []
    for size, unit in ((3600, "hour"), (60, "minute"), (1, "second")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " and ".join(parts[:2]) or "0 seconds"
