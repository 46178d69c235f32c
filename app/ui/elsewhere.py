"""Looking at what is on the screen outside of Sightline: the window that has the keyboard, a part of the screen."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QWidget

from app.commands import Command, LookThrough
from app.ui.global_keys import X11_ONLY, GlobalKeys
from app.ui.region_dialog import HOW, RegionDialog

LETTERS = "WRS"
GO_THERE = "Go to another window. There Ctrl+Alt+W describes it, and Ctrl+Alt+R reads it."
OFF = "Keys in other windows are off. Turn them on in the settings, Look and keys."
NO_SCREEN = (
    "The screen cannot be seen here. Under Wayland, log in to an “Xorg” session, or paste a screenshot with Ctrl+V."
)
GONE_MS = 200
"""Until the screen no longer shows what was over it."""
SETTLED_MS = 4000
"""Until it is known how the screen reader is told things, and it has said what the window is."""


class Elsewhere(QObject):
    """Owns the keys that work in other windows. `tell`: a short message for eyes and ears."""

    def __init__(self, window: QWidget, send: Callable[[Command], None], tell: Callable[[str], None]) -> None:
        super().__init__(window)
        self._window, self._send, self._tell = window, send, tell
        self._on = False
        self.keys = GlobalKeys(self)
        self.keys.pressed.connect(self._pressed)
        self.region: RegionDialog | None = None

    def set_on(self, on: bool) -> None:
        """Takes the keys, or gives them back."""
        if on == self._on:
            return
        self._on = on
        if not on:
            self.keys.stop()
            return
        self.keys.start(LETTERS)
        if self.keys.problem and self.keys.problem != X11_ONLY:
            QTimer.singleShot(SETTLED_MS, self, lambda: self._tell(self.keys.problem))

    def stop(self) -> None:
        self.set_on(False)

    def explain(self) -> None:
        """From Sightline's own menu: its window has the keyboard."""
        self._tell(self.keys.problem or GO_THERE if self._on else OFF)

    def _pressed(self, letter: str) -> None:
        if letter == "S":
            self.choose_region()
        elif QApplication.activeWindow() is not None:
            self.explain()
        else:
            self._send(LookThrough("window:focused", "describe" if letter == "W" else "read"))

    def choose_region(self) -> None:
        if self.region is not None:
            return
        screen = QGuiApplication.primaryScreen() if QApplication.activeWindow() is None else self._window.screen()
        shot = screen.grabWindow(0)
        if shot.isNull():
            self._tell(NO_SCREEN)
            return
        self.region = RegionDialog(screen, shot, self._window)
        self.region.chosen.connect(self._chosen)
        self.region.tells.connect(self._tell)
        self.region.finished.connect(self._done)
        self.region.show()
        self.region.raise_()
        self.region.activateWindow()
        self._tell(f"A part of the screen: {self.region.in_words()} {HOW}")

    def _done(self) -> None:
        if self.region is not None:
            self.region.deleteLater()
            self.region = None

    def _chosen(self, left: int, top: int, width: int, height: int) -> None:
        QTimer.singleShot(GONE_MS, self, lambda: self._send(LookThrough(f"region:{left},{top},{width},{height}")))
