"""An Assistant whose views the test sets: the window's other side, with its real threads and its real types."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.commands import Command
from app.interface import AnnouncementCallback, ViewCallback
from app.settings import Settings
from app.ui.ports import DeviceChoice, DeviceKind, WindowParts
from app.view import Announcement, View


@dataclass(frozen=True)
class GreyPicture:
    number: int
    width: int
    height: int
    rgb: bytes


class ScriptedAssistant:
    """Keeps the commands it gets; shows what it is told to show, from any thread."""

    def __init__(self, view: View | None = None) -> None:
        self.view = view or View()
        self.commands: list[Command] = []
        self.got_command = threading.Condition()
        self.started = threading.Event()
        self.stopped = threading.Event()
        self._subscribers: list[tuple[ViewCallback, AnnouncementCallback | None]] = []

    def start(self) -> None:
        self.started.set()

    def stop(self, timeout_s: float = 3.0) -> None:
        self.stopped.set()

    def send(self, command: Command) -> None:
        with self.got_command:
            self.commands.append(command)
            self.got_command.notify_all()

    def subscribe(
        self, on_view: ViewCallback, on_announcement: AnnouncementCallback | None = None
    ) -> Callable[[], None]:
        entry = (on_view, on_announcement)
        self._subscribers.append(entry)
        on_view(self.view)
        return lambda: self._subscribers.remove(entry)

    def show(self, **changes: object) -> None:
        self.view = replace(self.view, **changes)  # type: ignore[arg-type]  # the test's own names
        for on_view, _ in self._subscribers:
            on_view(self.view)

    def say(self, text: str, *, urgent: bool = False) -> None:
        for _, on_announcement in self._subscribers:
            if on_announcement is not None:
                on_announcement(Announcement(text, urgent))


def parts(
    assistant: ScriptedAssistant,
    *,
    settings: Settings | None = None,
    devices: dict[DeviceKind, list[DeviceChoice]] | None = None,
    picture: GreyPicture | None = None,
) -> WindowParts:
    kept = settings or Settings()
    listed = devices or {
        "microphone": [DeviceChoice("USB Microphone", "USB Microphone")],
        "speaker": [DeviceChoice("Headphones", "Headphones")],
        "pictures": [DeviceChoice("camera:0", "Webcam"), DeviceChoice("screen:1", "The screen")],
    }
    return WindowParts(
        settings=lambda: kept,
        compose=lambda: assistant,
        list_devices=lambda kind: listed[kind],
        latest_picture=lambda: picture,
    )
