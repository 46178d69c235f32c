"""Looking again: a fresh picture for the engine."""

from __future__ import annotations

from app.tools.base import Arguments, Result, Room, Simple, Spec, ToolError


def _look(arguments: Arguments, room: Room) -> Result:
    if not room.has_picture():
        raise ToolError("There is no picture: the camera is off or shows nothing.")
    return Result("A new picture follows. Look again and say what is different or uncertain.", "A new picture.", True)


LOOK_AGAIN = Simple(Spec("look_again", "Check again", "Takes a new picture of what is in front of the camera."), _look)
