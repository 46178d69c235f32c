"""Whether two answers to one question say the same, and which answers are worth looking twice for. Words only."""

from __future__ import annotations

import re

SAME_WORDS = 0.5
"""Share of the telling words that two answers that agree have in common."""

_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    )
}
_EMPTY = frozenset(
    (
        "a",
        "an",
        "the",
        "of",
        "in",
        "on",
        "at",
        "to",
        "and",
        "or",
        "with",
        "is",
        "are",
        "was",
        "there",
        "it",
        "its",
        "this",
        "that",
        "i",
        "see",
        "can",
        "you",
        "your",
        "be",
        "as",
        "by",
        "for",
        "from",
        "has",
        "have",
    )
)
_NOT = frozenset(("no", "not", "none", "nothing", "never", "cannot", "without", "off", "empty", "closed"))
_DANGER = frozenset(
    (
        "danger",
        "dangerous",
        "hot",
        "fire",
        "flame",
        "smoke",
        "knife",
        "blade",
        "sharp",
        "broken",
        "glass",
        "stairs",
        "step",
        "edge",
        "hole",
        "traffic",
        "car",
        "cars",
        "train",
        "poison",
        "toxic",
        "bleach",
        "acid",
        "medicine",
        "pill",
        "pills",
        "tablet",
        "tablets",
        "dose",
        "mg",
        "allergy",
        "gluten",
        "peanut",
        "peanuts",
        "nuts",
        "wet",
        "slippery",
        "electric",
        "voltage",
        "gas",
        "safe",
        "expired",
    )
)
_COLOURS = frozenset(
    ("black", "white", "grey", "gray", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "beige")
)
_SIDES = frozenset(("left", "right", "ahead", "behind", "near", "far", "above", "below"))


def agree(one: str, other: str) -> bool:
    """The same numbers, colours, sides and denials, and mostly the same telling words."""
    first, second = _words(one), _words(other)
    for kind in (_COLOURS, _SIDES, _NOT):
        if first & kind != second & kind:
            return False
    if {word for word in first if word.isdigit()} != {word for word in second if word.isdigit()}:
        return False
    if not first or not second:
        return first == second
    return len(first & second) / min(len(first), len(second)) >= SAME_WORDS


def matters(answer: str) -> bool:
    """Whether an answer holds a number, a text or a danger: what harms when it is wrong."""
    words = _words(answer)
    says = re.search(r"[\"“”«»]|\b(says|reads|written|labelled|labeled)\b", answer.lower())
    return bool(says) or bool(words & _DANGER) or any(any(letter.isdigit() for letter in word) for word in words)


def _words(text: str) -> set[str]:
    """Telling words in one form: lower case, number words as digits, plurals without their s."""
    found = set()
    for word in re.findall(r"\d+(?:[.,]\d+)*|[^\W\d_]+", text.lower()):
        word = _NUMBERS.get(word, word)
        if word in _EMPTY:
            continue
        plain = word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
        found.add(word if word in _DANGER or word in _NOT else plain)
    return found
