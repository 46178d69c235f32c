"""Aiming help: what there is to aim at, and which way to move the camera so that it is whole and in the middle."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from video_io.codes import find_codes
from video_io.frames import Rgb
from video_io.opencv import shrink
from video_io.quality import PictureFault, measure
from video_io.reading.page import Edge, Page

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in shares of the picture (0..1)."""

WORKING_WIDTH = 480  # a sheet of paper is looked for in a picture of this size
SMALLEST_SHEET = 0.08  # of the picture
FULL = 0.75  # of the picture's width or height: who moves such a thing in at one edge moves it out at the other
AGAIN_S = 4.0
"""The same advice comes again after so long, for who did not follow it."""


class Aim(Enum):
    """Where to move the camera so that the thing is whole and in the middle."""

    LEFT = "Move the camera left."
    RIGHT = "Move the camera right."
    UP = "Move the camera up."
    DOWN = "Move the camera down."
    CLOSER = "Move closer."
    BACK = "Move back."
    GOOD = "Hold still."


_TOWARDS = {Edge.LEFT: Aim.LEFT, Edge.RIGHT: Aim.RIGHT, Edge.TOP: Aim.UP, Edge.BOTTOM: Aim.DOWN}


@dataclass(frozen=True, slots=True)
class Target:
    """A thing to aim at. `readable`: small as it may be, it can be read from here."""

    name: str
    box: Box
    readable: bool = False
    cut: tuple[Edge, ...] = ()
    """Edges of the picture at which it is cut off."""

    @property
    def aim(self) -> Aim:
        left, top, right, bottom = self.box
        if self.cut:
            wide, high = right - left > FULL, bottom - top > FULL
            sideways, upright = {Edge.LEFT, Edge.RIGHT} & set(self.cut), {Edge.TOP, Edge.BOTTOM} & set(self.cut)
            if len(sideways) == 2 or len(upright) == 2 or (sideways and wide) or (upright and high):
                return Aim.BACK
            return _TOWARDS[self.cut[0]]
        return aim_at(left, top, right, bottom, readable=self.readable)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to tell the user. `good`: the camera is right as it is."""

    text: str
    good: bool = False


def aim_at(left: float, top: float, right: float, bottom: float, *, readable: bool = False) -> Aim:
    """Aiming help for a thing whose box is given in shares of the picture (0..1, from the top left corner).

    Cut off on both sides: move back; cut off or far from the middle: move towards it; small: move closer.
    Raises ValueError for a box without an area.
    """
    if not (left < right and top < bottom):
        raise ValueError(f"a box needs left < right and top < bottom; this one is {(left, top, right, bottom)}")
    edge = 0.02
    cut_left, cut_right, cut_top, cut_bottom = left < edge, right > 1 - edge, top < edge, bottom > 1 - edge
    wide, high = right - left > FULL, bottom - top > FULL
    if (cut_left and (cut_right or wide)) or (cut_right and wide):
        return Aim.BACK
    if (cut_top and (cut_bottom or high)) or (cut_bottom and high):
        return Aim.BACK
    sideways, upright = (left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5
    if cut_left or cut_right or abs(sideways) > max(0.18, abs(upright)):
        return Aim.LEFT if sideways < 0 else Aim.RIGHT
    if cut_top or cut_bottom or abs(upright) > 0.18:
        return Aim.UP if upright < 0 else Aim.DOWN
    if not readable and max(right - left, bottom - top) < 0.3:
        return Aim.CLOSER
    return Aim.GOOD


def find_target(rgb: Rgb, page: Page) -> Target | None:
    """What a user most likely aims at: a code, else the text (with the sheet it stands on); None: nothing of the kind.

    `page`: what was read in the same picture.
    """
    try:
        codes = find_codes(rgb, also_unreadable=True)
    except ImportError:
        codes = []
    if codes:
        code = max(codes, key=lambda code: (bool(code.text), _area(code.box)))
        return Target(f"A {code.kind}." if code.text else "A code.", code.box, readable=bool(code.text))
    if page.box is None:
        return None
    sheet = find_sheet(rgb)
    if sheet is not None and _within(page.box, sheet):
        return Target("A sheet with text.", sheet, readable=True, cut=page.cut)
    return Target("Text.", page.box, readable=bool(page.passages), cut=page.cut)


def find_sheet(rgb: Rgb) -> Box | None:
    """The box around the largest light quadrilateral, such as a letter on a table; None when there is none."""
    import cv2

    height = max(1, round(rgb.shape[0] * WORKING_WIDTH / rgb.shape[1]))
    luma = cv2.GaussianBlur(cv2.cvtColor(shrink(rgb, WORKING_WIDTH, height), cv2.COLOR_RGB2GRAY), (5, 5), 0)
    _, light = cv2.threshold(luma, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    outlines, _ = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for outline in sorted(outlines, key=cv2.contourArea, reverse=True)[:3]:
        if cv2.contourArea(outline) < SMALLEST_SHEET * luma.size:
            return None
        corners = cv2.approxPolyDP(outline, 0.03 * cv2.arcLength(outline, True), True)
        if len(corners) == 4 and cv2.isContourConvex(corners):
            xs, ys = np.asarray(corners)[:, 0, 0] / WORKING_WIDTH, np.asarray(corners)[:, 0, 1] / height
            return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())
    return None


class Guide:
    """Turns looks into advice that is neither jumpy nor repeated without need. Belongs to one thread."""

    def __init__(self) -> None:
        self._said: tuple[str, Aim | None] | None = None
        self._said_s = float("-inf")

    def look(self, rgb: Rgb, page: Page, at_s: float) -> Advice | None:
        """What to say now; None: nothing new."""
        target = find_target(rgb, page)
        aim = target.aim if target is not None else None
        said: tuple[str, Aim | None]
        if aim is not Aim.GOOD and measure(rgb).fault is PictureFault.BLURRED:
            said = ("blurred", None)
            text = "The picture is blurred. Hold still."
        elif target is None:
            said = ("nothing", None)
            text = page.advice or "Nothing to aim at yet. Move the camera slowly."
        else:
            assert aim is not None
            said = (target.name, aim)
            known = self._said is not None and self._said[0] == target.name
            text = aim.value if known else f"{target.name} {aim.value}"
        if said == self._said and (aim is Aim.GOOD or at_s - self._said_s < AGAIN_S):
            return None
        self._said, self._said_s = said, at_s
        return Advice(text, good=aim is Aim.GOOD)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _within(inner: Box, outer: Box, slack: float = 0.03) -> bool:
    return (
        inner[0] >= outer[0] - slack
        and inner[1] >= outer[1] - slack
        and inner[2] <= outer[2] + slack
        and inner[3] <= outer[3] + slack
    )
