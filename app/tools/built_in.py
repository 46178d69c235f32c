"""The tools that come with Sightline."""

from __future__ import annotations

from app.tools.base import Tool
from app.tools.clock import DATE, TIME
from app.tools.look import LOOK_AGAIN
from app.tools.sights import Sights, sight_tools
from app.tools.talk import REPEAT, VOLUME
from app.tools.timers import Timers
from app.tools.web_page import OpenPage


def built_in(timers: Timers, sights: Sights | None = None) -> tuple[Tool, ...]:
    """`sights` None: nothing measures pictures here."""
    measuring = sight_tools(sights) if sights is not None else ()
    return (TIME, DATE, *timers.tools(), REPEAT, LOOK_AGAIN, VOLUME, OpenPage(), *measuring)
