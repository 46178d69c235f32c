"""Reading order: headings, columns one after the other, tables row by row. Pure geometry, no picture.

The page is cut into bands that no line crosses, from the top down. Following bands that share white room from top to
bottom (a gutter) belong together; what a gutter divides is either text in columns or the cells of a table, which the
length of the lines tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from video_io.reading.page import Line

GUTTER_HEIGHTS = 0.8
"""Least width of a gutter, in heights of the text beside it."""
HEADING_RATIO = 1.25
"""A line so much taller than those around it is a heading, and ends what stood above it."""
CELL_WORDS = 3.5
"""Lines in columns have more words than this on average; cells of a table have fewer."""
MAX_DEPTH = 6

Gutter = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together, in order. `rows`: each is read by itself; otherwise the text flows on."""

    rows: tuple[tuple[Line, ...], ...]
    flowing: bool


def blocks(lines: Sequence[Line], depth: int = 0) -> list[Block]:
    """All lines, each in exactly one block."""
    if not lines:
        return []
    made: list[Block] = []
    for group in _groups(lines):
        gutters = _gutters(group)
        if not gutters or depth >= MAX_DEPTH:
            made.append(Block(tuple(_rows(group)), flowing=True))
        elif _is_table(group, gutters):
            made.append(Block(tuple(_rows(group)), flowing=False))
        else:
            for column in _columns(group, gutters):
                made += blocks(column, depth + 1)
    return made


def _bands(lines: Sequence[Line]) -> list[list[Line]]:
    """Runs of lines that overlap from top to bottom; a little overlap (slanted or tall boxes) does not count."""
    bands: list[list[Line]] = []
    end = float("-inf")
    for line in sorted(lines, key=lambda line: line.middle_y):
        slack = 0.25 * line.height
        if bands and line.top + slack < end:
            bands[-1].append(line)
            end = max(end, line.bottom)
        else:
            bands.append([line])
            end = line.bottom
    return bands


def _groups(lines: Sequence[Line]) -> list[list[Line]]:
    """Bands put together as long as a gutter goes through all of them, or through none."""
    usual = median(line.height for line in lines)
    groups: list[list[Line]] = []
    divided = False
    for band in _bands(lines):
        if groups:
            together = [*groups[-1], *band]
            heading = len(band) == 1 and band[0].height > HEADING_RATIO * usual
            gap = min(line.top for line in band) - max(line.bottom for line in groups[-1])
            far = gap > 2.5 * usual and divided != bool(_gutters(band))
            keeps = bool(_gutters(together))
            if divided and keeps and not heading and not far:
                groups[-1] = together
                continue
            if not divided and not _gutters(band):
                # One above the other; a short line beside nothing belongs to what stands above it.
                groups[-1] = together
                divided = keeps and len(together) > 2 and _balanced(together)
                continue
            if not divided and keeps and len(groups[-1]) <= 2 and not heading and _balanced(together):
                groups[-1] = together
                divided = True
                continue
        groups.append(list(band))
        divided = bool(_gutters(band))
    return groups


def _balanced(lines: Sequence[Line]) -> bool:
    """Whether the gutters divide rows that stand side by side, and not lines that stand one above the other."""
    return any(len(row) > 1 for row in _rows(lines))


def _gutters(lines: Sequence[Line]) -> list[Gutter]:
    """White strips from top to bottom that are wide enough, with lines on both sides."""
    usual = median(line.height for line in lines)
    gutters: list[Gutter] = []
    end = float("-inf")
    for line in sorted(lines, key=lambda line: line.left):
        if line.left - end >= GUTTER_HEIGHTS * usual and end > float("-inf"):
            gutters.append((end, line.left))
        end = max(end, line.right)
    return gutters


def _columns(lines: Sequence[Line], gutters: Sequence[Gutter]) -> list[list[Line]]:
    limits = [float("-inf"), *(left for left, _ in gutters), float("inf")]
    return [[line for line in lines if left < line.right <= right] for left, right in pairwise(limits)]


def _is_table(lines: Sequence[Line], gutters: Sequence[Gutter]) -> bool:
    """Cells are short, and stand in rows. Lines of a column are long and fill it."""
    columns = [column for column in _columns(lines, gutters) if column]
    words = sum(len(line.words) for line in lines) / len(lines)
    in_rows = sum(len(row) for row in _rows(lines) if len(row) > 1) / len(lines)
    if in_rows < 0.6:
        return False
    if words <= CELL_WORDS:
        return True
    # A table with one wordy column: all but one of its columns are short.
    short = [c for c in columns if sum(len(line.words) for line in c) / len(c) <= CELL_WORDS]
    return len(columns) > 1 and len(short) >= len(columns) - 1 and max(map(len, short)) >= 2


def _rows(lines: Sequence[Line]) -> list[tuple[Line, ...]]:
    """Lines side by side, left to right; the rows from the top down."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.middle_y):
        if rows:
            last = rows[-1]
            middle = sum(other.middle_y for other in last) / len(last)
            apart = all(
                line.left >= other.right or line.right <= other.left or _overlap(line, other) < 0.3 for other in last
            )
            if abs(line.middle_y - middle) < 0.5 * min(line.height, *(other.height for other in last)) and apart:
                last.append(line)
                continue
        rows.append([line])
    return [tuple(sorted(row, key=lambda line: line.left)) for row in rows]


def _overlap(one: Line, other: Line) -> float:
    shared = min(one.right, other.right) - max(one.left, other.left)
    return shared / max(1e-6, min(one.width, other.width))
