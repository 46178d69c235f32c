"""The real window over the real conversation, fed from standard input: a script of events instead of an engine.

Each line is a Python expression over `app.events` (as `ev`) and `app.view`; its events go through the reducer, and the
view and the announcements that follow to the window, as the Assistant hands them on. A line answers "done" when shown.
Run by tests that need every event at its moment: `python -m tests.e2e.told_window`.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

import numpy as np
from PySide6.QtWidgets import QApplication

from app import events as ev
from app.commands import Command, SetCamera, SetMicrophone
from app.config import Config
from app.conversation import reduce
from app.effects import Announce
from app.interface import AnnouncementCallback, ViewCallback
from app.settings import Settings
from app.state import State
from app.ui.bridge import AssistantBridge
from app.ui.ports import WindowParts
from app.ui.window import MainWindow
from app.view import EngineInfo, Problem, View

NAMES = {"ev": ev, "np": np, "Problem": Problem, "EngineInfo": EngineInfo}


class ToldAssistant:
    """`app.interface.AssistantInterface` without devices or engine."""

    def __init__(self, config: Config) -> None:
        self._state = State(config=config)
        self.view = View(started_at_unix_s=1.7e9)
        self._subscribers: list[tuple[ViewCallback, AnnouncementCallback | None]] = []
        self._at_s = 0.0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Nothing to start."""

    def stop(self, timeout_s: float = 3.0) -> None:
        """Nothing to stop."""

    def send(self, command: Command) -> None:
        match command:
            case SetMicrophone(on):
                self.feed(ev.MicrophoneSet(self._at_s, on))
            case SetCamera(on):
                self.feed(ev.CameraSet(self._at_s, on))

    def subscribe(self, on_view: ViewCallback, on_announcement: AnnouncementCallback | None = None) -> object:  # type: ignore[override]
        self._subscribers.append((on_view, on_announcement))
        on_view(self.view)
        return lambda: None

    def feed(self, event: ev.Event | EngineInfo) -> None:
        with self._lock:
            said: list[Announce] = []
            engine = event if isinstance(event, EngineInfo) else self.view.engine
            if not isinstance(event, EngineInfo):
                self._at_s = event.at_s
                self._state, effects = reduce(self._state, event)
                said = [effect for effect in effects if isinstance(effect, Announce)]
            state = self._state
            self.view = replace(
                self.view,
                phase=state.phase,
                transcript=state.transcript,
                problems=state.problems,
                microphone_on=not state.muted,
                camera_on=state.camera_on,
                narrating=state.narrating,
                engine=engine,
            )
            for on_view, on_announcement in self._subscribers:
                on_view(self.view)
                for effect in said:
                    if on_announcement is not None:
                        on_announcement(effect.announcement)


def main() -> int:
    announce = sys.argv[1] if len(sys.argv) > 1 else "unheard"
    speech = "silent" not in sys.argv
    application = QApplication(["sightline"])
    application.setStyle("Fusion")
    settings = Settings(announce=announce, speech=speech)
    assistant = ToldAssistant(Config(announce=announce, speech=speech, speculate=False))
    parts = WindowParts(lambda: settings, lambda: assistant, lambda _kind: [], lambda: None)  # type: ignore[arg-type, return-value]
    bridge = AssistantBridge(parts.compose)
    window = MainWindow(parts, bridge)
    window.on_screen.connect(bridge.start)
    window.show()

    def read() -> None:
        for line in sys.stdin:
            made = eval(line, dict(NAMES))  # the test's own lines
            for event in made if isinstance(made, tuple) else (made,):
                assistant.feed(event)
            print("done", flush=True)
        window.close()
        application.quit()

    threading.Thread(target=read, daemon=True).start()
    return application.exec()


if __name__ == "__main__":
    sys.exit(main())
