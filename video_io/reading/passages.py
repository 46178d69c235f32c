"""Blocks of lines to passages: what is read in one breath. Lines that flow on are joined, and cut into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from video_io.reading.order import Block
from video_io.reading.page import Line, Passage, Word
from video_io.reading.rules import DOUBT_SCORE

FULL_SHARE = 0.72
"""A line that takes this part of its block's width is full: the next one goes on with it."""
LONGEST = 240
"""Letters of a passage; longer sentences are cut at a comma or between words."""

_SENTENCE_END = re.compile(r"[.!?…。！？]['\"”’)\]]*$")
_ABBREVIATIONS = frozenset(
    ("mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "no.", "nr.", "vs.", "e.g.", "i.e.", "p.", "pp.", "tel.", "approx.")
)


def passages(blocks: Iterable[Block]) -> tuple[Passage, ...]:
    made: list[Passage] = []
    for block in blocks:
        if block.flowing:
            for paragraph in _paragraphs(block):
                made += _sentences(paragraph)
        else:
            made += [_row(row) for row in block.rows]
    return tuple(made)


def _row(cells: Sequence[Line]) -> Passage:
    """A row of a table, its cells apart from each other for the ear."""
    text = ", ".join(cell.text for cell in cells)
    return Passage(text, tuple(word.text for cell in cells for word in cell.words if word.score < DOUBT_SCORE))


def _paragraphs(block: Block) -> list[list[Word]]:
    lines = [line for row in block.rows for line in row]
    starts = {id(row[0]) for row in block.rows}
    right = max(line.right for line in lines)
    left = min(line.left for line in lines)
    gaps = [b.top - a.bottom for a, b in pairwise(lines)]
    usual_gap = median(gaps) if gaps else 0.0
    paragraphs: list[list[Word]] = []
    before: Line | None = None
    for line in lines:
        if before is not None and (id(line) not in starts or _goes_on(before, line, left, right, usual_gap)):
            _append(paragraphs[-1], line.words)
        else:
            paragraphs.append(list(line.words))
        before = line
    return paragraphs


def _goes_on(before: Line, line: Line, left: float, right: float, usual_gap: float) -> bool:
    ratio = line.height / max(1e-6, before.height)
    if not 0.75 <= ratio <= 1.33 or line.top - before.bottom > max(usual_gap, 0) + 0.7 * line.height:
        return False
    text = before.text
    if text.endswith("-") or line.text[:1].islower():
        return True
    full = before.right - left >= FULL_SHARE * (right - left) and len(before.words) >= 4
    return full and not text.endswith(":")


def _append(words: list[Word], more: Sequence[Word]) -> None:
    """Goes on with the next line; a word divided at the line's end becomes whole."""
    last, first = words[-1], more[0]
    divided = len(last.text) > 2 and last.text[-1] in "-\u00ad" and last.text[-2].isalpha() and first.text[0].islower()
    if divided:
        words[-1] = Word(last.text[:-1] + first.text, min(last.score, first.score))
        words.extend(more[1:])
    else:
        words.extend(more)


def _sentences(words: Sequence[Word]) -> list[Passage]:
    made: list[Passage] = []
    sentence: list[Word] = []
    for n, word in enumerate(words):
        sentence.append(word)
        following = words[n + 1].text if n + 1 < len(words) else ""
        ends = _SENTENCE_END.search(word.text) and not following[:1].islower()
        ends = ends and word.text.lower() not in _ABBREVIATIONS and not re.fullmatch(r"\w\.", word.text)
        n_letters = sum(len(part.text) + 1 for part in sentence)
        if ends or n_letters > LONGEST or (n_letters > LONGEST * 0.7 and word.text[-1] in ",;:"):
            made.append(_passage(sentence))
            sentence = []
    if sentence:
        made.append(_passage(sentence))
    return made


def _passage(words: Sequence[Word]) -> Passage:
    return Passage(
        " ".join(word.text for word in words), tuple(word.text for word in words if word.score < DOUBT_SCORE)
    )
