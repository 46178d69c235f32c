"""The screen as a source of pictures."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from video_io.frames import Rgb, SourceError, SourceEventKind

SCREEN_INTERVAL_S = 0.2  # a capture costs 10–60 ms of CPU, and a screen changes by the keypress


class ScreenGrabber:
    """One monitor (1 is the first), or all of them together (0)."""

    spacing_s = SCREEN_INTERVAL_S

    def __init__(self, monitor: int = 1) -> None:
        self.monitor = monitor
        self._mss: Any = None

    @property
    def interval_s(self) -> float:
        return max(SCREEN_INTERVAL_S, self.spacing_s)

    @property
    def label(self) -> str:
        return "the screen" if self.monitor <= 1 else f"screen {self.monitor}"

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
            n_monitors = len(self._mss.monitors) - 1
        except ScreenShotError as error:
            raise SourceError(
                SourceEventKind.DENIED,
                f"The screen cannot be captured: {error}",
                "macOS: allow Screen Recording for this program in System Settings, Privacy & Security.",
            ) from error
        if not 0 <= self.monitor <= n_monitors:
            raise SourceError(
                SourceEventKind.MISSING,
                f"There is no screen {self.monitor}; there are {n_monitors}.",
                "Choose another screen.",
            )

    def grab(self) -> Rgb | None:
        from mss.exception import ScreenShotError

        try:
            shot = self._mss.grab(self._mss.monitors[self.monitor])
        except (ScreenShotError, IndexError) as error:
            raise SourceError(SourceEventKind.LOST, f"The screen can no longer be captured: {error}") from error
        bgra = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
        return np.ascontiguousarray(bgra[:, :, 2::-1])

    def close(self) -> None:
        if self._mss is not None:
            self._mss.close()
            self._mss = None
