"""What is wrong with a picture, in words that help somebody who cannot see it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from video_io.frames import Frame, Rgb
from video_io.opencv import shrink

WORKING_WIDTH = 320  # sharpness is measured at one size, so that the camera's resolution does not matter
DARK_LUMA = 28.0  # mean brightness (of 255) under which little can be made out
GLARE_SHARE = 0.45  # of the picture at full white
FLAT_SPREAD = 9.0  # brightness between the 5th and 95th percentile of a covered lens or a bare wall
SHARP_EDGE = 0.165  # see `_sharpness`
HOLD_S = 1.0  # a warning must last this long before it is said, and be gone this long before it may come again


class PictureFault(Enum):
    COVERED = "covered"
    DARK = "dark"
    GLARE = "glare"
    BLURRED = "blurred"


ADVICE = {
    PictureFault.COVERED: "The camera seems to be covered.",
    PictureFault.DARK: "The picture is very dark. Turn on a light.",
    PictureFault.GLARE: "The picture is too bright. Turn away from the light.",
    PictureFault.BLURRED: "The picture is blurred. Hold still, or move a little further away.",
}


@dataclass(frozen=True)
class Quality:
    """Measurements of one picture: brightness 0..255, spread of brightness, share at full white, sharpness."""

    luma: float
    spread: float
    glare: float
    sharpness: float

    @property
    def fault(self) -> PictureFault | None:
        """The one fault worth saying; a covered lens is also dark and blurred."""
        if self.spread < FLAT_SPREAD and self.luma < 70:
            return PictureFault.COVERED
        if self.luma < DARK_LUMA:
            return PictureFault.DARK
        if self.glare > GLARE_SHARE:
            return PictureFault.GLARE
        if self.spread >= 4 * FLAT_SPREAD and self.sharpness < SHARP_EDGE:
            return PictureFault.BLURRED
        return None


def measure(rgb: Rgb) -> Quality:
    """About 7 ms for a 1280 x 720 picture."""
    import cv2

    height = max(1, round(rgb.shape[0] * WORKING_WIDTH / rgb.shape[1]))
    luma = cv2.cvtColor(shrink(rgb, WORKING_WIDTH, height), cv2.COLOR_RGB2GRAY)
    low, high = np.percentile(luma, (5, 95))
    smooth = cv2.GaussianBlur(luma, (3, 3), 0).astype(np.float32)  # noise is sharp, and says nothing about focus
    return Quality(float(luma.mean()), float(high - low), float((luma >= 250).mean()), _sharpness(smooth))


def _sharpness(luma: NDArray[np.float32]) -> float:
    """Slope of the strongest edges against the contrast around them: independent of how contrasty the scene is and of
    how many edges it has. A sharp edge measures 0.3, one blurred over 2 pixels (8 of 1280) 0.13."""
    import cv2

    slope = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)) / 8  # per pixel
    window = np.ones((15, 15), np.uint8)
    contrast = cv2.dilate(luma, window) - cv2.erode(luma, window)
    edge = (slope >= 0.4 * np.percentile(slope, 99.9)) & (contrast > 10)
    # Without any edge there is nothing to judge by.
    return float((slope[edge] / contrast[edge]).mean()) if edge.any() else 1.0


class QualityWatch:
    """Turns pictures into warnings that are neither jumpy nor repeated. Belongs to one thread."""

    def __init__(self, hold_s: float = HOLD_S) -> None:
        self._hold_s = hold_s
        self._reported: PictureFault | None = None
        self._candidate: PictureFault | None = None
        self._since_s = float("-inf")

    def offer(self, frame: Frame) -> PictureFault | None:
        """The fault to tell the user about now; each is given once until the picture has been good again."""
        fault = measure(frame.rgb).fault
        if fault is not self._candidate:
            self._candidate, self._since_s = fault, frame.at_s
        if fault is self._reported or frame.at_s - self._since_s < self._hold_s:
            return None
        self._reported = fault
        return fault
