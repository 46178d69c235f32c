"""The time and the date."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.tools.base import Arguments, Result, Room, Simple, Spec, ToolError, parameters, text

_ZONE = {"type": "string", "description": "A zone such as Europe/Paris. Left out: the user's own."}


def _here(arguments: Arguments, room: Room) -> datetime:
    zone = text(arguments, "timezone")
    now = room.now()
    if not zone:
        return now
    try:
        return now.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolError(f"There is no time zone {zone!r}.") from None


def _time(arguments: Arguments, room: Room) -> Result:
    return Result(f"It is {_here(arguments, room):%H:%M}.")


def _date(arguments: Arguments, room: Room) -> Result:
    now = _here(arguments, room)
    return Result(f"It is {now:%A}, {now.day} {now:%B %Y}.")


TIME = Simple(
    Spec("get_time", "Time", "The time of day now.", parameters(timezone=_ZONE)),
    _time,
)
DATE = Simple(
    Spec("get_date", "Date", "Today's date and day of the week.", parameters(timezone=_ZONE)),
    _date,
)
