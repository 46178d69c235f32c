"""What was read in a picture: lines as the recogniser gives them, and the page that is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a line, and how sure the recogniser is of it (0..1)."""

    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text. The box is in pixels of the picture, turned so that the text is level (`slope`).

    `height` is the height of the text across its own direction; `slope` the tangent of its angle in the picture.
    """

    words: tuple[Word, ...]
    score: float
    left: float
    top: float
    right: float
    bottom: float
    height: float
    slope: float = 0.0
    corners: tuple[tuple[float, float], ...] = ()
    """(x, y) of the four corners as they are in the picture, from the top left clockwise."""

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def middle_y(self) -> float:
        return (self.top + self.bottom) / 2


class Edge(Enum):
    """An edge of the picture. The value is the word for where to move the camera."""

    LEFT = "left"
    TOP = "up"
    RIGHT = "right"
    BOTTOM = "down"


@dataclass(frozen=True, slots=True)
class Passage:
    """What is read in one breath: a sentence, a heading, a row of a table."""

    text: str
    doubtful: tuple[str, ...] = ()
    """Its words that the recogniser was not sure of."""


@dataclass(frozen=True, slots=True)
class Page:
    """All the text of one picture, in reading order. Without passages: there is no text in it."""

    passages: tuple[Passage, ...] = ()
    cut: tuple[Edge, ...] = ()
    """Edges of the picture at which text is cut off."""
    box: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom of all text, in shares of the picture."""
    unsure: bool = False
    """Something that looks like text is there and could not be read."""

    @property
    def text(self) -> str:
        return "\n".join(passage.text for passage in self.passages)

    @property
    def advice(self) -> str:
        """What to do so that all of the text can be read; "" when nothing is amiss."""
        if self.cut:
            sides = _listed([_SIDES[edge] for edge in self.cut])
            opposite = {Edge.LEFT, Edge.RIGHT} <= set(self.cut) or {Edge.TOP, Edge.BOTTOM} <= set(self.cut)
            move = "Move further away." if opposite else f"Move the camera {_listed([e.value for e in self.cut])}."
            return f"The text is cut off at the {sides}. {move}"
        if self.unsure and not self.passages:
            return "There may be text, but it cannot be read. Move closer, hold still, or turn on a light."
        return ""


_SIDES = {Edge.LEFT: "left", Edge.TOP: "top", Edge.RIGHT: "right", Edge.BOTTOM: "bottom"}


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
