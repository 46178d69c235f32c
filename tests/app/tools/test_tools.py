"""Each tool, and the toolbox that carries out what an engine calls."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from openai.types.realtime import RealtimeFunctionTool

from app import events as ev
from app.tools.base import Result, Simple, Spec, ToolError
from app.tools.built_in import built_in
from app.tools.timers import Timers, in_words
from app.tools.toolbox import MAX_OUTPUT_CHARS, Toolbox
from app.tools.web_page import OpenPage, address

PATIENCE_S = 20.0


@dataclass
class Room:
    """A clock that stands, and what the tools did."""

    clock: datetime = datetime(2026, 3, 2, 14, 5, tzinfo=timezone(timedelta(hours=1)))
    loudness: float = 0.5
    answer: str = ""
    sees: bool = True
    rings: list[tuple[float, str]] = field(default_factory=list)

    def now(self) -> datetime:
        return self.clock

    def volume(self) -> float:
        return self.loudness

    def set_volume(self, volume: float) -> None:
        self.loudness = volume

    def last_answer(self) -> str:
        return self.answer

    def has_picture(self) -> bool:
        return self.sees

    def later(self, delay_s: float, text: str) -> Callable[[], None]:
        ring = (delay_s, text)
        self.rings.append(ring)
        return lambda: self.rings.remove(ring)


class Sights:
    def read_text(self) -> str:
        return "EXIT"

    def codes(self) -> str:
        raise ValueError("There is no code in the picture.")

    def colour(self) -> str:
        return "Dark blue."

    def light(self) -> str:
        return "It is dark."


class Box:
    def __init__(self, **options: Any) -> None:
        self.room = Room()
        self.opened: list[str] = []
        own = [tool for tool in built_in(Timers(), Sights()) if tool.spec.name != "open_page"]
        self.toolbox = Toolbox([*own, OpenPage(self._open)], self.room, **options)
        self.events: queue.Queue[ev.Event] = queue.Queue()

    def _open(self, url: str) -> bool:
        self.opened.append(url)
        return True

    def call(self, name: str, /, **arguments: object) -> str:
        self.begin(name, json.dumps(arguments))
        return self.finished().output

    def begin(self, name: str, arguments: str) -> None:
        self.toolbox.run(self.events.put, "call", name, arguments)

    def finished(self) -> ev.ToolFinished:
        event = self.events.get(timeout=PATIENCE_S)
        assert isinstance(event, ev.ToolFinished)
        return event


@pytest.fixture
def box() -> Iterator[Box]:
    box = Box()
    yield box
    box.toolbox.stop()


def test_time_and_date(box: Box) -> None:
    assert box.call("get_time") == "It is 14:05."
    assert box.call("get_time", timezone="UTC") == "It is 13:05."
    assert box.call("get_date") == "It is Monday, 2 March 2026."
    assert box.call("get_time", timezone="Moon/Sea") == "Error: There is no time zone 'Moon/Sea'."


def test_timers(box: Box) -> None:
    assert box.call("set_timer", minutes=5) == "The timer of 5 minutes is set: it rings in 5 minutes."
    assert (
        box.call("set_timer", hours="1", seconds=30, name="tea")
        == "The tea timer is set: it rings in 1 hour and 30 seconds."
    )
    assert box.room.rings == [(300.0, "Timer of 5 minutes: time is up."), (3630.0, "Tea timer: time is up.")]
    assert "tea timer rings in 1 hour" in box.call("list_timers")
    assert box.call("cancel_timer", name="Tea") == "Called off: tea timer."
    assert len(box.room.rings) == 1
    box.room.clock += timedelta(minutes=6)
    assert box.call("list_timers") == "No timer and no alarm runs."
    assert box.call("cancel_timer").startswith("Error: No such timer")
    for wrong in ({}, {"minutes": -1}, {"hours": 25}, {"minutes": "soon"}, {"minutes": True}):
        assert box.call("set_timer", **wrong).startswith("Error:")


@pytest.mark.parametrize(
    ("time", "said", "delay_s"),
    [
        ("15:00", "15:00 today", 3300.0),
        ("7:30", "07:30 tomorrow", 62_700.0),
        ("7:30 pm", "19:30 today", 19_500.0),
        ("12 am", "00:00 tomorrow", 35_700.0),
    ],
)
def test_alarms(box: Box, time: str, said: str, delay_s: float) -> None:
    assert box.call("set_alarm", time=time) == f"The alarm for {said.split()[0]} is set for {said}."
    assert box.room.rings[0][0] == delay_s
    box.room.rings.clear()


def test_an_alarm_at_no_time(box: Box) -> None:
    for wrong in ("25:00", "soon", "", "7:75"):
        assert box.call("set_alarm", time=wrong).startswith("Error: The time has to be")


def test_durations_in_words() -> None:
    assert [in_words(s) for s in (0, 1, 61, 3600, 3661)] == [
        "0 seconds", "1 second", "1 minute and 1 second", "1 hour", "1 hour and 1 minute"
    ]  # fmt: skip


def test_repeating_and_volume(box: Box) -> None:
    assert box.call("repeat_answer").startswith("Error: Nothing has been said")
    box.room.answer = "It is a cup."
    assert "It is a cup." in box.call("repeat_answer")
    assert box.call("set_volume", percent=80) == "The volume is 80% now."
    assert box.call("set_volume", change=-30) == "The volume is 50% now."
    assert box.call("set_volume", change=-300) == "The volume is 0% now."
    assert box.room.loudness == 0.0
    assert box.call("set_volume").startswith("Error:")


def test_looking_again_brings_a_picture(box: Box) -> None:
    box.begin("look_again", "")
    assert box.finished().picture
    box.room.sees = False
    assert box.call("look_again").startswith("Error: There is no picture")


def test_what_is_measured_in_the_picture(box: Box) -> None:
    assert box.call("read_text") == "EXIT"
    assert box.call("find_codes") == "Error: There is no code in the picture."
    assert box.call("get_colour") == "Dark blue."


@pytest.mark.parametrize("yes", [True, False])
def test_a_page_is_opened_when_the_user_says_so(box: Box, yes: bool) -> None:
    box.begin("open_page", '{"url": "example.org/news"}')
    asked = box.events.get(timeout=PATIENCE_S)
    assert asked == ev.PermissionWanted(0.0, "call", "Open example.org in your browser?")
    box.toolbox.answer("call", yes)
    assert box.finished().output == ("example.org is open in the browser." if yes else "The user did not allow it.")
    assert box.opened == (["https://example.org/news"] if yes else [])


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "javascript:alert(1)", "", "https://", "https://me@example.org", "https://a b.c", "x"]
)
def test_only_pages_of_the_web_are_opened(url: str) -> None:
    with pytest.raises(ToolError, match="Only pages"):
        address({"url": url})


def test_stopping_while_a_question_waits(box: Box) -> None:
    box.begin("open_page", '{"url": "https://example.org"}')
    assert isinstance(box.events.get(timeout=PATIENCE_S), ev.PermissionWanted)
    box.toolbox.stop()
    assert box.finished().output == "The user did not allow it."
    box.begin("get_time", "{}")  # nothing happens, and nothing fails


def test_calls_that_are_wrong_are_answered(box: Box) -> None:
    assert box.call("fly") == "Error: there is no tool 'fly'."
    for arguments in ("{", "[]", '"x"', "[" * 100_000):
        box.begin("get_time", arguments)
        assert box.finished().output.startswith("Error: the arguments")
    box.begin("get_time", "null")
    assert box.finished().output == "It is 14:05."


def test_a_tool_that_breaks_or_says_too_much() -> None:
    def breaks(*_: object) -> Result:
        raise RuntimeError("inside")

    long = Simple(Spec("long", "Long", ""), lambda *_: Result("x" * (MAX_OUTPUT_CHARS + 1)))
    box = Box()
    box.toolbox = Toolbox([Simple(Spec("breaks", "Breaks", ""), breaks), long], box.room)
    assert box.call("breaks") == "Error: the tool failed (RuntimeError)."
    assert box.call("long").endswith(f"(cut: it had {MAX_OUTPUT_CHARS + 1} characters)")
    box.toolbox.stop()


def test_what_is_off_is_neither_offered_nor_run() -> None:
    box = Box(is_on=lambda name: name != "get_date")
    assert "get_date" not in {tool["name"] for tool in box.toolbox.offer()}
    assert box.call("get_date") == "Error: there is no tool 'get_date'."
    assert [tool.on for tool in box.toolbox.offered() if tool.name == "get_date"] == [False]
    box.toolbox.stop()


def test_the_offer_is_what_the_openai_package_takes(box: Box) -> None:
    for tool in box.toolbox.offer():
        assert RealtimeFunctionTool.model_validate(tool, strict=True).name == tool["name"]
        assert tool["description"]
    assert len(box.toolbox.offer()) >= 12
