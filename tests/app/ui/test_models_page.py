"""The Models page with a scripted shop: everything by keyboard, progress announced, switching and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton, QWidget

from app.commands import ChangeSettings
from app.models.ports import OnEvent
from app.settings import Settings
from app.ui.models_page import ModelsPage
from app.view import EngineInfo, Phase, Problem
from tests.app.models.test_state import ENTRY, MACHINE, progress
from tests.app.ui.conftest import Desk, spin_until
from tests.app.ui.scripted import ScriptedAssistant, parts

MINI = ENTRY | {
    "name": "flash-mini", "title": "flash-mini", "huggingface": "", "modelscope": "", "shipped": True,
    "default_bits": None,
}  # fmt: skip


class ScriptedShop:
    """Answers at once; the test sends the events of a download."""

    def __init__(self) -> None:
        self.here: list[dict[str, Any]] = []
        self.got: list[tuple[str, int | None]] = []
        self.removed: list[str] = []
        self.paused = self.stopped = 0
        self.send: OnEvent = lambda _event: None

    def look(self, on_event: OnEvent) -> None:
        listed = {"catalogue": [ENTRY, MINI], "here": list(self.here), "default": "big", "machine": MACHINE}
        on_event({"event": "listed"} | listed)

    def get(self, what: str, bits: int | None, on_event: OnEvent) -> None:
        self.got.append((what, bits))
        self.send = on_event

    def pause(self) -> None:
        self.paused += 1
        self.send({"event": "ended"})

    def remove(self, name: str, on_event: OnEvent) -> None:
        self.removed.append(name)
        on_event({"event": "removed", "name": name})

    def stop(self) -> None:
        self.stopped += 1


@pytest.fixture
def shop() -> ScriptedShop:
    return ScriptedShop()


@pytest.fixture
def desk(open_desk: Callable[..., Desk], shop: ScriptedShop) -> Desk:
    assistant = ScriptedAssistant()
    made = replace(parts(assistant, settings=Settings(quantize="int8")), model_shop=lambda: shop)
    return open_desk(made, assistant)


def open_page(desk: Desk) -> ModelsPage:
    desk.window.actions_.models.trigger()
    page = desk.window.findChild(ModelsPage)
    assert page is not None
    spin_until(lambda: page._list.count() == 2, "the list")
    return page


def press(page: QWidget | None, text: str) -> None:
    """As a keyboard user does: goes there with Tab and presses Space."""
    for _ in range(30):
        focus = QApplication.focusWidget()
        if isinstance(focus, QPushButton) and focus.text().replace("&", "") == text:
            QTest.keyClick(focus, Qt.Key.Key_Space)
            return
        QTest.keyClick(focus or page, Qt.Key.Key_Tab)
    raise AssertionError(f"there is no way to {text!r} by keyboard")


def test_a_model_is_got_by_keyboard_and_its_progress_is_told(desk: Desk, shop: ScriptedShop) -> None:
    page = open_page(desk)
    told: list[str] = []
    assert desk.window.models is not None
    desk.window.models.tells.connect(told.append)
    assert "the choice for this machine" in page._list.item(0).text()
    assert "It speaks." in page._words.toPlainText()
    press(page, "Get it")
    assert shop.got == [("hf:P/Big", 4)]
    for percent in (5, 12, 13, 58):
        shop.send(progress(percent))
    spin_until(lambda: page._progress.value() == 58, "the progress")
    assert "58 percent" in page._state.text()
    assert page._progress.accessibleDescription() == page._state.text()
    page.close()  # it goes on
    shop.send(progress(71))
    shop.here = [{"name": "P--Big-int4", "address": "hf:P/Big", "bits": 4, "n_bytes": 1, "path": "/m/P--Big-int4"}]
    shop.send({"event": "done", "path": "/m/P--Big-int4", "name": "P--Big-int4"})
    shop.send({"event": "ended"})
    spin_until(lambda: len(told) == 4, "the end")
    assert told[:3] == ["Model: 10 percent", "Model: 50 percent", "Model: 70 percent"]
    assert "is ready" in told[3]


def test_a_pause_and_going_on(desk: Desk, shop: ScriptedShop) -> None:
    page = open_page(desk)
    press(page, "Get it")
    shop.send(progress(42))
    spin_until(lambda: page._pause.isEnabled() and page._progress.value() == 42, "the progress")
    press(page, "Pause")
    spin_until(lambda: "paused at 42 percent" in page._state.text(), "the pause")
    press(page, "Get it")
    assert shop.got == [("hf:P/Big", 4)] * 2


def test_another_address_can_be_typed(desk: Desk, shop: ScriptedShop) -> None:
    page = open_page(desk)
    page._other.setFocus()
    QTest.keyClicks(page._other, "http://127.0.0.1:1/tiny/flash")
    QTest.keyClick(page._other, Qt.Key.Key_Return)
    assert shop.got == [("http://127.0.0.1:1/tiny/flash", None)]
    shop.send({"event": "failed", "message": "The disk is full.", "remedy": "Free some room."})
    spin_until(lambda: "The disk is full. Free some room." in page._state.text(), "the reason")


def with_big(shop: ScriptedShop) -> None:
    shop.here = [{"name": "P--Big-int4", "address": "hf:P/Big", "bits": 4, "n_bytes": 1, "path": "/m/P--Big-int4"}]


def changes_of(desk: Desk) -> list[dict[str, object]]:
    return [dict(command.changes) for command in desk.assistant.commands if isinstance(command, ChangeSettings)]


def test_switching_and_back_when_it_does_not_load(desk: Desk, shop: ScriptedShop) -> None:
    with_big(shop)
    desk.show(phase=Phase.LISTENING, engine=EngineInfo(model="flash-mini", ready=True))
    page = open_page(desk)
    told: list[str] = []
    assert desk.window.models is not None
    desk.window.models.tells.connect(told.append)
    press(page, "Switch to it")
    assert changes_of(desk) == [{"checkpoint": "/m/P--Big-int4", "quantize": "none"}]
    desk.show(phase=Phase.STARTING, engine=EngineInfo())
    problem = Problem("engine failed", "It needs 30 GB of memory.")
    desk.show(phase=Phase.FAILED, problems=(problem,))
    assert changes_of(desk)[1:] == [{"checkpoint": "", "quantize": "int8"}]
    assert told[-1] == "The new model does not load, so the former one is used again. It needs 30 GB of memory."


def test_switching_ends_when_the_new_model_is_there(desk: Desk, shop: ScriptedShop) -> None:
    with_big(shop)
    desk.show(phase=Phase.LISTENING, engine=EngineInfo(model="flash-mini", ready=True))
    page = open_page(desk)
    press(page, "Switch to it")
    desk.show(phase=Phase.STARTING, engine=EngineInfo())
    desk.show(phase=Phase.LISTENING, engine=EngineInfo(model="P--Big-int4", ready=True))
    assert len(changes_of(desk)) == 1


def test_removing_asks_first(desk: Desk, shop: ScriptedShop) -> None:
    with_big(shop)
    page = open_page(desk)
    press(page, "Remove it")
    spin_until(lambda: QApplication.activeModalWidget() is not None, "the question")
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    QTest.keyClick(box, Qt.Key.Key_Escape)  # “No” is what Esc and Enter mean
    spin_until(lambda: QApplication.activeModalWidget() is None, "the question to be over")
    assert shop.removed == []
    press(page, "Remove it")
    spin_until(lambda: QApplication.activeModalWidget() is not None, "the question again")
    again = QApplication.activeModalWidget()
    assert isinstance(again, QMessageBox)
    QTest.keyClick(again.button(QMessageBox.StandardButton.Yes), Qt.Key.Key_Space)
    spin_until(lambda: shop.removed == ["P--Big-int4"], "the removal")


def test_closing_the_window_ends_what_goes_on(desk: Desk, shop: ScriptedShop) -> None:
    open_page(desk)
    desk.window.close()
    assert shop.stopped == 1
