"""The newest picture, small, for a window that must not spend time on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from video_io.frames import Frame, Rgb
from video_io.opencv import shrink

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
        small = _shrunk(frame.rgb)
        self._latest = SmallPicture(frame.number, small.shape[1], small.shape[0], small.tobytes())

    def clear(self) -> None:
        """The source was closed or lost: an old picture must not look like a live one."""
        self._latest = None

    def latest(self) -> SmallPicture | None:
        return self._latest


def _shrunk(rgb: Rgb) -> Rgb:
    """By halves, then by what is left without averaging: a twelfth of the time of averaging parts of pixels, and the
    window draws it at its own size anyway."""
    import cv2

    small: Any = rgb
    while small.shape[0] * small.shape[1] > 2 * PREVIEW_PIXELS and min(small.shape[:2]) > 1:
        small = shrink(small, small.shape[1] // 2, small.shape[0] // 2)
    scale = math.sqrt(PREVIEW_PIXELS / (small.shape[0] * small.shape[1]))
    if scale < 1:
        size = max(1, int(small.shape[1] * scale)), max(1, int(small.shape[0] * scale))
        small = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    return small  # type: ignore[no-any-return]  # OpenCV's stubs say only "array of numbers"
