"""What a front may use of the Assistant; importing it costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.commands import Command
from app.view import Announcement, View

ViewCallback = Callable[[View], None]
AnnouncementCallback = Callable[[Announcement], None]


class AssistantInterface(Protocol):
    """What a front may use. Callbacks run in the Assistant's thread: hand the value on and return at once."""

    @property
    def view(self) -> View:
        """The newest snapshot."""
        ...

    def start(self) -> None:
        """Starts the owner thread, the devices and the engine; returns at once.

        Raises RuntimeError when started twice."""
        ...

    def stop(self, timeout_s: float = 3.0) -> None:
        """Ends devices, engine process and thread within `timeout_s`. May be called twice."""
        ...

    def send(self, command: Command) -> None:
        """Queues a command. Never blocks; after `stop` it does nothing."""
        ...

    def subscribe(
        self, on_view: ViewCallback, on_announcement: AnnouncementCallback | None = None
    ) -> Callable[[], None]:
        """Calls `on_view` with the present view and with every later one. Returns what ends the subscription."""
        ...
