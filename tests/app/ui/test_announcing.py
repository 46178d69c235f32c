"""Announcements take the way that the screen readers of the moment understand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QApplication

from app.ui.live_region import LiveRegion
from app.ui.progress import ProgressWords
from app.ui.reader_watch import DESCRIPTION, EVENT, ReaderWatch, ways
from app.view import EngineInfo, Phase, View
from tests.app.ui.conftest import Desk, spin_until

ORCA_43 = [(":1.7", "Object:PropertyChange:AccessibleDescription"), (":1.7", "object:state-changed:focused")]
ORCA_48 = [(":1.9", "object:announcement"), (":1.9", "object:property-change:accessible-name")]


@pytest.mark.parametrize(
    ("registered", "found"),
    [
        ([], set()),
        (ORCA_43, {DESCRIPTION}),
        (ORCA_48, {EVENT}),
        ([*ORCA_43, *ORCA_48], {EVENT, DESCRIPTION}),
        ([(":1.3", "window:activate")], set()),
        ([(":1.4", "object:")], {EVENT}),
    ],
)
def test_every_reader_is_reached_by_the_way_that_it_asked_for(
    registered: list[tuple[str, str]], found: set[str]
) -> None:
    assert ways(registered) == found


def test_without_an_accessibility_bus_the_watch_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")
    watch = ReaderWatch()
    watch.start()
    watch.stop()
    watch.stop()
    assert watch.ways == {EVENT}


def test_the_region_says_all_in_order_urgent_first_and_gives_the_description_back(desk: Desk) -> None:
    field, button = desk.window.question.field, desk.window.controls.purposes.describe
    own = field.accessibleDescription()
    said: list[str] = []
    region = LiveRegion(desk.window)
    field.setFocus()
    spin_until(field.hasFocus, "the focus")
    region.say("One.")
    assert field.accessibleDescription() == "One."
    for text, urgent in (("Two.", False), ("Two.", False), ("Now!", True)):
        region.say(text, urgent)

    def follow() -> bool:
        now = field.accessibleDescription()
        if not said or said[-1] != now:
            said.append(now)
        return not region._waiting

    spin_until(follow, "all was said")
    assert said == ["One.", "Now!", "Two.", "Two. "]  # the same again is a change
    button.setFocus()
    spin_until(lambda: field.accessibleDescription() == own, "the description is back")
    assert button.accessibleDescription() != "Two. "


def test_the_region_waits_while_a_list_is_open(desk: Desk) -> None:
    field = desk.window.question.field
    region = LiveRegion(desk.window)
    menu = desk.window.menuBar().actions()[0].menu()
    assert menu is not None
    menu.popup(desk.window.mapToGlobal(desk.window.rect().center()))  # type: ignore[attr-defined]
    spin_until(lambda: QApplication.activePopupWidget() is not None, "the menu")
    region.say("Later.")
    assert field.accessibleDescription() != "Later."
    menu.close()  # type: ignore[attr-defined]
    desk.window.activateWindow()
    field.setFocus()
    spin_until(lambda: field.accessibleDescription() == "Later.", "it is said")


def test_progress_is_said_by_its_beginning_and_its_quarters() -> None:
    words = ProgressWords()

    def told(detail: str) -> str:
        return words.words(View(phase=Phase.STARTING, engine=EngineInfo(detail=detail)))

    said = [told(f"loading the model {percent} %") for percent in range(0, 101, 5)]
    assert [line for line in said if line] == [f"Loading the model {n} %." for n in (0, 25, 50, 75, 100)]
    assert told("warming up") == "Warming up."
    assert told("warming up") == ""
    assert words.words(View(phase=Phase.LISTENING, engine=EngineInfo(ready=True))) == ""
    assert told("loading the model 5 %") == "Loading the model 5 %."


def test_what_is_announced_reaches_the_way_in_use(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, open_desk: Callable[..., Desk]
) -> None:
    del open_desk
    monkeypatch.setattr("app.ui.announcer.QAccessible.isActive", lambda: True)
    desk.window._readers.ways = frozenset({DESCRIPTION})
    desk.window.question.field.setFocus()
    desk.assistant.say("Hello.")
    spin_until(lambda: desk.window.question.field.accessibleDescription() == "Hello.", "it is said")
