"""The screen, a part of it, or a window as a source of pictures."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from video_io.frames import Rgb, SourceError, SourceEventKind
from video_io.x11 import Display, Window

SCREEN_INTERVAL_S = 0.2  # a capture costs 10–60 ms of CPU, and a screen changes by the keypress


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the display, in px from its top left corner. "100,50,640,480" is left, top, width, height."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def read(cls, text: str) -> Region:
        """Raises ValueError for anything else."""
        parts = text.split(",")
        if len(parts) != 4 or not all(part.lstrip("-").isdigit() for part in parts):
            raise ValueError(f"a region like “100,50,640,480” (left, top, width, height) is expected, not “{text}”")
        left, top, width, height = map(int, parts)
        if width < 1 or height < 1:
            raise ValueError(f"the region is {width} px wide and {height} px high; at least 1 is expected")
        return cls(left, top, width, height)


class Capture:
    """Takes pictures of the display. Its methods raise `SourceError`."""

    def __init__(self) -> None:
        self._mss: Any = None

    def open(self) -> None:
        import mss
        from mss.exception import ScreenShotError

        if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
            raise SourceError(
                SourceEventKind.MISSING,
                "There is no X display whose screen could be seen.",
                "Under Wayland, log in to an “Xorg” session to show the screen; the camera works either way.",
            )
        try:
            self._mss = mss.MSS() if hasattr(mss, "MSS") else mss.mss()
        except ScreenShotError as error:
            raise SourceError(
                SourceEventKind.DENIED,
                f"The screen cannot be captured: {error}",
                "macOS: allow Screen Recording for this program in System Settings, Privacy & Security.",
            ) from error

    def monitors(self) -> list[dict[str, int]]:
        """All together first, then each."""
        return list(self._mss.monitors)

    def take(self, part: dict[str, int]) -> Rgb:
        from mss.exception import ScreenShotError

        try:
            shot = self._mss.grab(part)
        except ScreenShotError as error:
            raise SourceError(SourceEventKind.LOST, f"The screen can no longer be captured: {error}") from error
        bgra = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
        return np.ascontiguousarray(bgra[:, :, 2::-1])

    def close(self) -> None:
        if self._mss is not None:
            self._mss.close()
            self._mss = None


class ScreenGrabber:
    """One monitor (1 is the first), or all of them together (0)."""

    is_camera = False
    spacing_s = SCREEN_INTERVAL_S

    def __init__(self, monitor: int = 1) -> None:
        self.monitor = monitor
        self._capture = Capture()

    @property
    def interval_s(self) -> float:
        return max(SCREEN_INTERVAL_S, self.spacing_s)

    @property
    def label(self) -> str:
        return "the screen" if self.monitor <= 1 else f"screen {self.monitor}"

    def open(self) -> None:
        self._capture.open()
        n_monitors = len(self._capture.monitors()) - 1
        if not 0 <= self.monitor <= n_monitors:
            raise SourceError(
                SourceEventKind.MISSING,
                f"There is no screen {self.monitor}; there are {n_monitors}.",
                "Choose another screen.",
            )

    def grab(self) -> Rgb | None:
        monitors = self._capture.monitors()
        if self.monitor >= len(monitors):
            raise SourceError(SourceEventKind.LOST, f"Screen {self.monitor} is there no longer.")
        return self._capture.take(monitors[self.monitor])

    def close(self) -> None:
        self._capture.close()


class RegionGrabber:
    """A part of the display, as far as it lies on it."""

    is_camera = False
    spacing_s = SCREEN_INTERVAL_S
    label = "a part of the screen"

    def __init__(self, region: Region) -> None:
        self._region = region
        self._capture = Capture()

    @property
    def interval_s(self) -> float:
        return max(SCREEN_INTERVAL_S, self.spacing_s)

    def open(self) -> None:
        self._capture.open()

    def grab(self) -> Rgb | None:
        whole, region = self._capture.monitors()[0], self._region
        left, top = max(whole["left"], region.left), max(whole["top"], region.top)
        right = min(whole["left"] + whole["width"], region.left + region.width)
        bottom = min(whole["top"] + whole["height"], region.top + region.height)
        if right <= left or bottom <= top:
            raise SourceError(SourceEventKind.MISSING, "That part of the screen is not there.", "Choose another part.")
        return self._capture.take({"left": left, "top": top, "width": right - left, "height": bottom - top})

    def close(self) -> None:
        self._capture.close()


class WindowGrabber:
    """The window that has the keyboard when the source is opened, wherever it goes; what covers it is seen, too."""

    is_camera = False
    spacing_s = SCREEN_INTERVAL_S

    def __init__(self) -> None:
        self.label = "the window"
        self._number = 0
        self._display: Display | None = None
        self._capture = Capture()

    @property
    def interval_s(self) -> float:
        return max(SCREEN_INTERVAL_S, self.spacing_s)

    def open(self) -> None:
        if not sys.platform.startswith("linux"):
            raise SourceError(
                SourceEventKind.MISSING,
                "A window by itself can be looked at under X11 only.",
                "Look at the whole screen (Settings, Devices), or paste a picture of the window with Ctrl+V.",
            )
        self._capture.open()
        try:
            self._display = Display()
        except OSError as error:
            raise SourceError(
                SourceEventKind.MISSING, f"The windows cannot be asked for: {error}.", "Look at the whole screen."
            ) from error
        window = self._look_at() if self._number else self._display.focused()
        if window is None:
            raise SourceError(
                SourceEventKind.MISSING,
                "No window that could be seen has the keyboard.",
                "Go to a window first. Under Wayland only windows of X11 programs can be seen.",
            )
        if window.pid == os.getpid():
            raise SourceError(
                SourceEventKind.MISSING, "Sightline's own window has the keyboard.", "Go to another window first."
            )
        self._number = window.number
        self.label = f"the window “{window.title}”" if window.title else "the window"

    def grab(self) -> Rgb | None:
        window = self._look_at()
        if not window.width or not window.height:
            raise SourceError(SourceEventKind.LOST, "The window is off the screen.", "Bring it back.")
        return self._capture.take(
            {"left": window.left, "top": window.top, "width": window.width, "height": window.height}
        )

    def _look_at(self) -> Window:
        assert self._display is not None
        window = self._display.look_at(self._number)
        if window is None:
            message = f"{self.label[:1].upper()}{self.label[1:]} was closed."
            raise SourceError(SourceEventKind.LOST, message, "Choose another picture source.")
        return window

    def close(self) -> None:
        self._capture.close()
        if self._display is not None:
            self._display.close()
            self._display = None
