"""What was said, and how loud: repeat, and the volume."""

from __future__ import annotations

from app.tools.base import Arguments, Result, Room, Simple, Spec, ToolError, number, parameters


def _repeat(arguments: Arguments, room: Room) -> Result:
    answer = room.last_answer()
    if not answer:
        raise ToolError("Nothing has been said yet.")
    return Result(f"Your last answer was: {answer}\nSay it again in the same words.", shown="The last answer again.")


def _set_volume(arguments: Arguments, room: Room) -> Result:
    percent, change = number(arguments, "percent"), number(arguments, "change")
    if percent is None and change is None:
        raise ToolError("Say how loud, as percent, or by how much to change it.")
    wanted = percent / 100 if percent is not None else room.volume() + (change or 0.0) / 100
    volume = min(1.0, max(0.0, wanted))
    room.set_volume(round(volume, 2))
    return Result(f"The volume is {volume:.0%} now.")


REPEAT = Simple(Spec("repeat_answer", "Repeat", "The words of your last answer, to say them again."), _repeat)
VOLUME = Simple(
    Spec(
        "set_volume",
        "Volume",
        "How loud you speak: percent (0 to 100), or a change of it, such as -10 for quieter.",
        parameters(percent={"type": "number"}, change={"type": "number"}),
    ),
    _set_volume,
)
