"""Puts the engine's tools together: Sightline's own, and the MCP servers of the settings."""

from __future__ import annotations

from collections.abc import Callable

from app.assistant import Assistant
from app.ports import ToolsChanged
from app.settings import SettingsStore
from app.tools.built_in import built_in
from app.tools.mcp_servers import McpServers
from app.tools.room import AppRoom
from app.tools.sights import Sights
from app.tools.timers import Timers
from app.tools.toolbox import Toolbox


class AppTools:
    """`toolbox` is a part of the Assistant, to which `open` puts it."""

    def __init__(self, store: SettingsStore, has_picture: Callable[[], bool], sights: Sights | None = None) -> None:
        self._assistant: Assistant | None = None
        timers = Timers()
        own = built_in(timers, sights)
        names = {tool.spec.name for tool in own}

        def is_on(name: str) -> bool:
            settings = store.settings
            return name not in settings.tools_off if name in names else name in settings.mcp_allowed

        self._room = AppRoom(lambda: store.settings.volume, has_picture)
        servers = McpServers(self._changed)
        self.toolbox = Toolbox(own, self._room, is_on, servers, lambda: store.settings.mcp_servers, (timers.stop,))

    def open(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._room.open(lambda: assistant.view, assistant.send, assistant.post)
        self.toolbox.refresh()

    def _changed(self) -> None:
        if self._assistant is not None:
            self._assistant.post(ToolsChanged())
