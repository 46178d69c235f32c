"""`main.py` without a command: the window."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.settings import SettingsStore
from commands.errors import EXIT_FAILED, CommandError

if TYPE_CHECKING:
    from app.interface import AssistantInterface
    from app.models.ports import ModelShop
    from app.ui.ports import DeviceChoice, DeviceKind, Picture, ToolsShown
    from commands.compose import Desktop


def main(argv: Sequence[str]) -> int:
    """Shows the window until it is closed. Raises CommandError when there can be none."""
    parser = argparse.ArgumentParser(prog="sightline gui", description="The desktop app.")
    parser.add_argument("--checkpoint", help="use this checkpoint from now on")
    parser.add_argument("--engine", metavar="URL", help="use this engine (ws://…) from now on; it hears and sees you")
    options = parser.parse_args(argv)
    # Ctrl+C before there is a window: nothing has been started yet, and an exception inside Qt's own start-up crashes.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from app.ui.display import NoDisplay
        from app.ui.ports import WindowParts
        from app.ui.run import run
    except ImportError as error:
        raise CommandError(
            EXIT_FAILED, f"The window cannot be shown: {error}.", "Run “main.py doctor”: it names what is missing."
        ) from error
    store = SettingsStore()
    changes = {"checkpoint": options.checkpoint, "engine_url": options.engine}
    given = {name: value for name, value in changes.items() if value is not None}
    if given:
        try:
            store.change(given)
        except (ValueError, OSError) as error:
            raise CommandError(2, f"{error}") from error
    window = _Window(store)
    try:
        status = run(
            WindowParts(
                settings=lambda: store.settings,
                compose=window.compose,
                list_devices=window.list_devices,
                latest_picture=window.latest_picture,
                tools=window.tools,
                model_shop=window.model_shop,
            )
        )
    except NoDisplay as error:
        raise CommandError(EXIT_FAILED, str(error)) from error
    # Everything of ours has ended. Taking Qt and the sound libraries apart takes up to seconds more, and can hang.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class _Window:
    """What the window asks for; the device packages are imported when it first does, after it is up."""

    def __init__(self, store: SettingsStore) -> None:
        self._store = store
        self._desktop: Desktop | None = None

    def compose(self) -> AssistantInterface:
        from commands.compose import Desktop

        self._desktop = Desktop(self._store)
        return self._desktop.compose()

    def tools(self) -> ToolsShown:
        from app.ui.ports import ToolsShown

        tools = self._desktop.tools if self._desktop is not None else None
        return ToolsShown(tools.toolbox.offered(), tools.toolbox.problems()) if tools is not None else ToolsShown()

    def model_shop(self) -> ModelShop:
        from commands.model_shop import ProcessShop

        return ProcessShop()

    def latest_picture(self) -> Picture | None:
        desktop = self._desktop
        return desktop.eyes.eyes.latest_picture() if desktop is not None and desktop.eyes is not None else None

    def list_devices(self, kind: DeviceKind) -> list[DeviceChoice]:
        from app.ui.ports import DeviceChoice

        if kind == "pictures":
            from video_io.sources import list_cameras, list_screens

            return [DeviceChoice(choice.value, choice.label) for choice in (*list_cameras(), *list_screens())]
        from audio_io.devices import list_devices
        from audio_io.errors import SoundError

        try:
            return [DeviceChoice(device.id, device.name) for device in list_devices() if device.kind == kind]
        except SoundError as error:
            sys.stderr.write(f"{error}\n")
            return []
