"""The newest picture, small, for a window that must not spend time on it."""

from __future__ import annotations

from dataclasses import dataclass

from video_io.frames import Frame
from video_io.sizing import fit_pixels

PREVIEW_PIXELS = 480 * 360


@dataclass(frozen=True)
class SmallPicture:
    """8-bit RGB rows without gaps, `3 * width` bytes each."""

    number: int
    width: int
    height: int
    rgb: bytes


class PreviewSlot:
    """Filled by the source's thread, read by the window's; newest wins. Replacing a reference needs no lock."""

    def __init__(self) -> None:
        self._latest: SmallPicture | None = None

    def put(self, frame: Frame) -> None:
        """Called for every picture, in the source's thread, which does the shrinking (about 1 ms)."""
        small = fit_pixels(frame.rgb, PREVIEW_PIXELS)
        self._latest = SmallPicture(frame.number, small.shape[1], small.shape[0], small.tobytes())

    def clear(self) -> None:
        """The source was closed or lost: an old picture must not look like a live one."""
        self._latest = None

    def latest(self) -> SmallPicture | None:
        return self._latest
