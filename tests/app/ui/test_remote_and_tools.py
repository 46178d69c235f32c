"""The settings' pages for engines elsewhere and for tools."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFormLayout, QLineEdit, QListWidget, QWidget

from app.presets import PRESETS, preset_of
from app.settings import Settings
from app.tools.toolbox import Offered
from app.ui.remote_page import RemotePage
from app.ui.tools_page import ToolsPage


@pytest.fixture
def form(application: object) -> Iterator[QFormLayout]:
    page = QWidget()
    yield QFormLayout(page)
    page.deleteLater()


def field(form: QFormLayout, name: str) -> QLineEdit:
    page = form.parentWidget()
    assert page is not None
    return next(field for field in page.findChildren(QLineEdit) if field.accessibleName() == name)


def unchanged(readers: dict[str, object], settings: Settings) -> None:
    for name, reader in readers.items():
        assert reader() == getattr(settings, name), name  # type: ignore[operator]


def test_a_page_that_was_only_looked_at_changes_nothing(form: QFormLayout) -> None:
    settings = Settings(
        engine_url="wss://box/v1/realtime",
        engine_kind="sightline",
        engine_headers=("A: b",),
        tools_off=("get_date", "gone"),
        mcp_servers=("time = uvx mcp-server-time",),
        mcp_allowed=("time__now", "away__x"),
    )
    tools = (Offered("get_date", "Date", "Today", False), Offered("time__now", "Now", "", True, "time"))
    unchanged(dict(RemotePage(form, settings).readers), settings)
    unchanged(dict(ToolsPage(form, settings, tools, {"away": "it is gone"}).readers), settings)
    unchanged(dict(RemotePage(form, Settings()).readers), Settings())


def test_a_pasted_line_goes_where_it_belongs(form: QFormLayout) -> None:
    page = RemotePage(form, Settings())
    url = field(form, "Remote engine")
    url.setText(f"wss://10.0.0.5:8765/v1/realtime#token=abc&sha256={'ab' * 32}")
    url.editingFinished.emit()
    assert page.readers["engine_url"]() == "wss://10.0.0.5:8765/v1/realtime"
    assert page.readers["engine_token"]() == "abc"
    assert page.readers["engine_fingerprint"]() == "ab" * 32


def test_a_preset_fills_in_what_it_knows(form: QFormLayout) -> None:
    page = RemotePage(form, Settings())
    openai = next(preset for preset in PRESETS if preset.kind == "openai")
    page._kind.setCurrentIndex(PRESETS.index(openai))
    assert page.readers["engine_url"]() == openai.url
    assert page.readers["engine_model"]() == openai.model
    assert page.readers["engine_kind"]() == "openai"


def test_every_preset_is_found_again() -> None:
    for preset in PRESETS:
        if preset.url:
            assert preset_of(preset.kind, preset.url) == preset
    Settings().validated({"engine_url": PRESETS[1].url, "engine_kind": PRESETS[1].kind})


def test_tools_are_turned_off_and_allowed(form: QFormLayout) -> None:
    tools = (Offered("get_time", "Time", "Now", True), Offered("shop__price", "Price", "", False, "shop"))
    page = ToolsPage(form, Settings(), tools, {})
    parent = form.parentWidget()
    assert parent is not None
    for shown, mark in zip(
        parent.findChildren(QListWidget), (Qt.CheckState.Unchecked, Qt.CheckState.Checked), strict=True
    ):
        shown.item(0).setCheckState(mark)
    assert page.readers["tools_off"]() == ("get_time",)
    assert page.readers["mcp_allowed"]() == ("shop__price",)
