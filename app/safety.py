"""The safety list: phrases that are never spoken. Plain words, editable by the user, applied to generated text.

Matching ignores case, accents and punctuation, and respects word borders: "you should die" matches "You should DIE!"
and not "You should diet". An entry that ends in `*` matches any ending of its last word.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from enum import Enum

DEFAULT_PHRASES = (
    "kill yourself",
    "hang yourself",
    "you should die",
    "it is safe to cross",
    "safe to cross now",
    "you can cross now",
    "stop taking your medication",
    "stop taking your medicine",
)
"""Shipped with the app. The crossing phrases are there because Sightline is no mobility aid (requirements: trust)."""

MAX_PHRASES = 1000
MAX_PHRASE_CHARS = 200
LOOK_BACK_CHARS = 5 * MAX_PHRASE_CHARS
"""A phrase with this much punctuation and space between its words is still found."""


class Verdict(Enum):
    """What may happen with the speech that belongs to a text."""

    CLEAR = "clear"  # play it
    HOLD = "hold"  # its last words could become a listed phrase: keep the speech until more text has come
    BLOCKED = "blocked"  # it holds a listed phrase: do not play it


def normalise(text: str) -> str:
    """Lower case, no accents, every run of other characters one space, none at the ends."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", " ", plain).strip()


@dataclass(frozen=True)
class SafetyList:
    """An immutable list of phrases. Raises ValueError for a phrase that is too long or has no letter or digit."""

    phrases: tuple[str, ...] = DEFAULT_PHRASES
    _whole: re.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)
    _normal: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        if len(self.phrases) > MAX_PHRASES:
            raise ValueError(f"The safety list has {len(self.phrases)} phrases; at most {MAX_PHRASES} are kept.")
        normal = []
        patterns = []
        for phrase in self.phrases:
            if len(phrase) > MAX_PHRASE_CHARS:
                raise ValueError(f"A phrase of the safety list has {len(phrase)} characters; at most 200 are allowed.")
            plain = normalise(phrase)
            if not plain:
                raise ValueError(f"The safety list's phrase {phrase!r} holds no letter or digit; remove it.")
            normal.append(plain)
            patterns.append(re.escape(plain) + (r"\w*" if phrase.rstrip().endswith("*") else ""))
        object.__setattr__(self, "_normal", tuple(normal))
        if patterns:
            object.__setattr__(self, "_whole", re.compile(r"\b(?:" + "|".join(patterns) + r")\b"))

    def check(self, text: str, complete: bool = False, n_new: int | None = None) -> Verdict:
        """Judges the text of a reply so far; `complete` when no more text will come.

        `n_new`: so many characters at the end were not judged before; the older ones are then looked at only as far as
        a phrase can reach back, so that a long reply does not cost more with every word.
        """
        if self._whole is None:
            return Verdict.CLEAR
        if n_new is not None and len(text) > n_new + LOOK_BACK_CHARS:
            text = text[-(n_new + LOOK_BACK_CHARS) :].partition(" ")[2]  # from the start of a word
        plain = normalise(text)
        found = [match.end() for match in self._whole.finditer(plain)]
        # A match at the very end may still grow into another, harmless word ("you should die" -> "you should diet").
        if any(end < len(plain) for end in found) or (found and (complete or not text[-1:].isalnum())):
            return Verdict.BLOCKED
        if found:
            return Verdict.HOLD
        if complete:
            return Verdict.CLEAR
        return Verdict.HOLD if self._could_become_listed(plain) else Verdict.CLEAR

    def _could_become_listed(self, plain: str) -> bool:
        """Two or more characters at the end, from a word's border on, begin a listed phrase.

        The longest listed phrase bounds how far back it looks. A phrase's first word alone does not hold speech back
        unless the phrase is that one word: "you" begins too many sentences.
        """
        for phrase in self._normal:
            first_word = phrase.split(" ", 1)[0]
            for length in range(min(len(phrase), len(plain)), 1, -1):
                if not plain.endswith(phrase[:length]):
                    continue
                start = len(plain) - length
                if (start == 0 or plain[start - 1] == " ") and (length > len(first_word) or first_word == phrase):
                    return True
        return False
