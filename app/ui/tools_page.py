"""The settings' page for tools: which may be called; MCP servers, whose tools are off until they are allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QFormLayout, QListWidget, QListWidgetItem, QPlainTextEdit

from app.settings import Settings
from app.ui.fields import add_note, add_row

if TYPE_CHECKING:
    from app.tools.toolbox import Offered


class ToolsPage:
    """Fills a form; `readers` give the settings as they were entered."""

    def __init__(
        self, form: QFormLayout, settings: Settings, tools: Sequence[Offered], problems: dict[str, str]
    ) -> None:
        self._settings = settings
        self.readers: dict[str, Callable[[], object]] = {}
        use = QCheckBox("The engine may use &tools")
        use.setChecked(settings.tools)
        form.addRow(use)
        self.readers["tools"] = use.isChecked
        own = [tool for tool in tools if not tool.server]
        foreign = [tool for tool in tools if tool.server]
        mine = _list(own, {tool.name for tool in own if tool.name not in settings.tools_off})
        add_row(form, "&Sightline's tools", mine)
        self.readers["tools_off"] = lambda: self._off(mine)
        servers = QPlainTextEdit("\n".join(settings.mcp_servers))
        servers.setTabChangesFocus(True)
        servers.setMaximumHeight(servers.fontMetrics().lineSpacing() * 6)
        add_row(form, "&MCP servers", servers)
        add_note(
            form,
            servers,
            "One a line: “name = command …” or “name = https://…”. A server is its maker's program; it sees what its "
            "tools are called with. Save, and open the settings again to allow its tools.",
        )
        self.readers["mcp_servers"] = lambda: tuple(
            line.strip() for line in servers.toPlainText().splitlines() if line.strip()
        )
        for server, problem in problems.items():
            add_note(form, None, f"{server} does not work: {problem}")
        theirs = _list(foreign, set(settings.mcp_allowed))
        if foreign:
            add_row(form, "Tools o&f these servers", theirs)
        self.readers["mcp_allowed"] = lambda: self._allowed(theirs)

    def _off(self, shown: QListWidget) -> tuple[str, ...]:
        return _merged(self._settings.tools_off, {name for name, on in _marks(shown) if on}, _names(shown, False))

    def _allowed(self, shown: QListWidget) -> tuple[str, ...]:
        off = {name for name, on in _marks(shown) if not on}
        return _merged(self._settings.mcp_allowed, off, _names(shown, True))


def _merged(before: tuple[str, ...], gone: set[str], wanted: list[str]) -> tuple[str, ...]:
    """What is not listed now, because its server is away, stays as it is; so does the order."""
    kept = [name for name in before if name not in gone]
    return (*kept, *(name for name in wanted if name not in kept))


def _names(shown: QListWidget, are_on: bool) -> list[str]:
    return [name for name, on in _marks(shown) if on == are_on]


def _list(tools: Sequence[Offered], on: set[str]) -> QListWidget:
    shown = QListWidget()
    for tool in tools:
        entry = QListWidgetItem(f"{tool.title}: {tool.description}" if tool.description else tool.title, shown)
        entry.setData(Qt.ItemDataRole.UserRole, tool.name)
        entry.setFlags(entry.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        entry.setCheckState(Qt.CheckState.Checked if tool.name in on else Qt.CheckState.Unchecked)
    if tools:
        shown.setCurrentRow(0)
    shown.setMinimumHeight(shown.fontMetrics().lineSpacing() * 6)
    return shown


def _marks(shown: QListWidget) -> list[tuple[str, bool]]:
    entries = [shown.item(row) for row in range(shown.count())]
    return [
        (str(entry.data(Qt.ItemDataRole.UserRole)), entry.checkState() is Qt.CheckState.Checked)
        for entry in entries
        if entry is not None
    ]
