"""From a picture to a page: recognise, keep what is text, order it, say what is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from video_io.frames import Rgb
from video_io.reading.order import blocks
from video_io.reading.page import Line, Page
from video_io.reading.passages import passages
from video_io.reading.recogniser import Recogniser
from video_io.reading.rules import SURE_SCORE, accepted, edges_cut, letters

TURNED_LETTERS = 8
"""A picture that is turned must give at least so many sure letters to be believed."""


class FindsLines(Protocol):
    """What makes lines of a picture."""

    def lines(self, rgb: Rgb) -> list[Line]: ...


class Reader:
    """Reads pictures. Belongs to one thread; loads the models when it is made."""

    def __init__(self, recogniser: FindsLines | None = None) -> None:
        self._recogniser = recogniser or Recogniser()

    def read(self, rgb: Rgb) -> Page:
        """The text of a picture [H, W, 3] uint8, which may lie on its side or upside down."""
        lines = self._recogniser.lines(rgb)
        kept = accepted(lines)
        if lines and _letters(kept) < TURNED_LETTERS and _may_be_turned(lines):
            for quarters in (2, 1, 3):
                turned = np.ascontiguousarray(np.rot90(rgb, quarters))
                other = accepted(self._recogniser.lines(turned))
                if _letters(other) >= max(TURNED_LETTERS, 2 * _letters(kept)):
                    rgb, kept = turned, other
                    break
        return page_of(rgb, kept, unsure=any(line.score >= 0.5 and letters(line) > 3 for line in lines))


def page_of(rgb: Rgb, lines: Sequence[Line], *, unsure: bool = False) -> Page:
    """A page of the lines that were kept."""
    if not lines:
        return Page(unsure=unsure)
    height, width = rgb.shape[:2]
    xs = [x for line in lines for x, _ in line.corners]
    ys = [y for line in lines for _, y in line.corners]
    box = (
        max(0.0, min(xs) / width),
        max(0.0, min(ys) / height),
        min(1.0, max(xs) / width),
        min(1.0, max(ys) / height),
    )
    return Page(passages(blocks(lines)), edges_cut(rgb, lines), box)


def _letters(lines: Sequence[Line]) -> int:
    return sum(letters(line) for line in lines if line.score >= SURE_SCORE)


def _may_be_turned(lines: Sequence[Line]) -> bool:
    """Upright text is read at once; several lines that are found and not read, or are tall, may lie the other way."""
    return len(lines) >= 2 or any(line.width > 6 * line.height for line in lines)
