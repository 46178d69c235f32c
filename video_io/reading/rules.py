"""What of that which looks like text is text: nothing is read where there is none, and what is unsure is marked.

Measured on photographs (`main.py bench reading`): false lines score under 0.85 or are one or two letters by themselves;
true ones score 0.91 and more. What lies between is read only beside text that is certain, and marked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from video_io.frames import Rgb
from video_io.reading.page import Edge, Line

SURE_SCORE = 0.9
"""Of a line that stands by itself."""
BESIDE_SCORE = 0.6
"""Of a line beside others that are sure."""
DOUBT_SCORE = 0.82
"""Words under it are marked as doubtful."""
ALONE_LETTERS = 3
"""A line that stands by itself has at least so many letters and digits, unless it is all digits."""
EDGE_HEIGHTS = 0.35
"""Ink is looked for at an edge of the picture when a line's box comes closer to it than this part of its height."""


def letters(line: Line) -> int:
    return sum(letter.isalnum() for letter in line.text)


def is_text(line: Line) -> bool:
    """Whether this line can stand by itself."""
    n = letters(line)
    enough = n >= ALONE_LETTERS or (n == 2 and line.text.strip(".,€$£% ").isdigit())
    return line.score >= SURE_SCORE and enough and _shaped(line) and len(set(line.text)) > 1


def _shaped(line: Line) -> bool:
    """Letters are about as wide as a third to one and a half of their height; stripes and leaves are not."""
    n = max(1, len(line.text))
    return 0.15 * line.height <= line.width / n <= 2.5 * line.height


def accepted(lines: Sequence[Line]) -> list[Line]:
    """The lines to read. Short and less sure ones come along only where text was found that is certain."""
    sure = [line for line in lines if is_text(line)]
    if not sure:
        return []
    heights = sorted(line.height for line in sure)
    low, high = heights[0] * 0.5, heights[-1] * 2
    beside = [
        line
        for line in lines
        if line not in sure
        and letters(line) >= 1
        and line.score >= BESIDE_SCORE
        and low <= line.height <= high
        and (letters(line) > 1 or line.score >= SURE_SCORE)
    ]
    return [line for line in lines if line in sure or line in beside]


def doubtful(line: Line) -> tuple[str, ...]:
    return tuple(word.text for word in line.words if word.score < DOUBT_SCORE)


def edges_cut(rgb: Rgb, lines: Sequence[Line]) -> tuple[Edge, ...]:
    """Edges of the picture at which the ink of a line goes to the very last pixels."""
    height, width = rgb.shape[:2]
    cut: set[Edge] = set()
    for line in lines:
        xs, ys = [x for x, _ in line.corners], [y for _, y in line.corners]
        near = EDGE_HEIGHTS * line.height
        left, right = max(0, round(min(xs))), min(width, round(max(xs)))
        top, bottom = max(0, round(min(ys))), min(height, round(max(ys)))
        patch = rgb[top:bottom, left:right].mean(2)
        if 0 in patch.shape:
            continue
        if min(xs) <= near and _inked(patch, rgb[top:bottom, :2].mean(2)):
            cut.add(Edge.LEFT)
        if max(xs) >= width - near and _inked(patch, rgb[top:bottom, -2:].mean(2)):
            cut.add(Edge.RIGHT)
        if min(ys) <= near and _inked(patch, rgb[:2, left:right].mean(2)):
            cut.add(Edge.TOP)
        if max(ys) >= height - near and _inked(patch, rgb[-2:, left:right].mean(2)):
            cut.add(Edge.BOTTOM)
    return tuple(edge for edge in Edge if edge in cut)


def _inked(
    patch: np.ndarray[tuple[int, ...], np.dtype[np.float64]], strip: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> bool:
    """Whether a strip at the edge holds ink: brightness well away from the paper's, which most of the patch is."""
    paper = float(np.median(patch))
    contrast = float(np.abs(np.percentile(patch, (3, 97)) - paper).max())
    return contrast > 20 and float((np.abs(strip - paper) > 0.6 * contrast).mean()) > 0.04
