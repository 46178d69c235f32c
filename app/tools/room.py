"""The room that tools see, in the app: settings, transcript, camera, and what rings later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from app.commands import ChangeSettings, Command
from app.events import WHEN_TAKEN, Event, Rang
from app.view import View


class AppRoom:
    """`open` puts it to the Assistant, which is made after it. May be used from any thread."""

    def __init__(self, volume: Callable[[], float], has_picture: Callable[[], bool]) -> None:
        self._volume = volume
        self._has_picture = has_picture
        self._view: Callable[[], View] = View
        self._send: Callable[[Command], None] = lambda command: None
        self._post: Callable[[Event], None] = lambda event: None

    def open(self, view: Callable[[], View], send: Callable[[Command], None], post: Callable[[Event], None]) -> None:
        self._view, self._send, self._post = view, send, post

    def now(self) -> datetime:
        return datetime.now().astimezone()

    def volume(self) -> float:
        return self._volume()

    def set_volume(self, volume: float) -> None:
        self._send(ChangeSettings((("volume", volume),)))

    def last_answer(self) -> str:
        turns = self._view().transcript
        return next((turn.text for turn in reversed(turns) if turn.role == "assistant" and turn.text), "")

    def has_picture(self) -> bool:
        return self._has_picture()

    def later(self, delay_s: float, text: str) -> Callable[[], None]:
        timer = threading.Timer(delay_s, lambda: self._post(Rang(WHEN_TAKEN, text)))
        timer.name = "timer"
        timer.daemon = True
        timer.start()
        return timer.cancel
