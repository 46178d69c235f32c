"""When speech that is made slower than it is heard may be played: so that a gap falls between sentences, not in one.

Pure: it knows lengths and times. Where speech is made faster than it is heard nothing ever waits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Piece = TypeVar("Piece")

# The rate may be worse than it was: a little more is held back than the measure says.
MARGIN = 1.1
# A sentence whose end is not written yet goes on for at least so long.
OPEN_SENTENCE_S = 3.0
# Of slow speech so much text is written before it is spoken, unless its sentence ends sooner: four seconds of it.
SENTENCE_TOKENS = 50
# Speech that must have been made before its rate is believed: single pieces come in groups.
MEASURED_S = 0.3
_ENDS = re.compile(r"[.!?…]+[\"'”’)]*(?=\s|$)|[。！？\n]")


def may_start(held_s: float, lead_s: float, rest_s: float, rate: float, piece_s: float) -> bool:
    """Whether speech may be played now without a gap before its sentence ends.

    `held_s` of it is made, behind `lead_s` that was let go and is not heard yet; `rest_s` of the sentence is still to
    be made, in pieces of `piece_s`, at `rate` seconds for each. The last piece is the tightest: it must have been made
    when all before it has been heard.
    """
    return lead_s + held_s + rest_s - piece_s >= rate * MARGIN * rest_s


def sentence_ends(text: str) -> list[int]:
    """Numbers of letters after which a sentence of `text` ends."""
    return [found.end() for found in _ENDS.finditer(text)]


@dataclass
class Pacer(Generic[Piece]):
    """Holds the speech of a session's replies back as long as it must. `rate` is what earlier speech has measured.

    Owned by the session's thread. Times are seconds of any clock that the caller keeps to.
    """

    rate: float | None = None
    _held: list[Piece] = field(default_factory=list)
    _held_s: float = 0.0
    _heard_at_s: float = float("-inf")  # when all that was let go will have been heard
    _begun_s: float | None = None
    _made_s: float = 0.0  # since the first piece

    def begin(self) -> None:
        """A new reply, or a new part of one; what a cancelled one held is forgotten."""
        self._held, self._held_s = [], 0.0
        self._begun_s, self._made_s = None, 0.0

    @property
    def is_slow(self) -> bool:
        """Whether anything may have to wait: if not, nobody needs to know where a sentence ends."""
        return self.rate is not None and self.rate * MARGIN > 1

    def offer(self, piece: Piece, length_s: float, rest_s: float, now_s: float) -> list[Piece]:
        """Takes a new piece; `rest_s` of its sentence comes after it (0: it ends one). Returns what may be played."""
        self._measure(length_s, now_s)
        self._held.append(piece)
        self._held_s += length_s
        lead_s = max(0.0, self._heard_at_s - now_s)
        if self.rate is not None and not may_start(self._held_s, lead_s, rest_s, self.rate, length_s):
            return []
        return self.flush(now_s)

    def flush(self, now_s: float) -> list[Piece]:
        """All that is held: at the end of a reply."""
        if self._held:
            self._heard_at_s = max(self._heard_at_s, now_s) + self._held_s
        held, self._held, self._held_s = self._held, [], 0.0
        return held

    def _measure(self, length_s: float, now_s: float) -> None:
        if self._begun_s is None:
            self._begun_s = now_s
            return
        self._made_s += length_s
        if self._made_s >= MEASURED_S:
            self.rate = (now_s - self._begun_s) / self._made_s
