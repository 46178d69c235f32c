"""How much of a reply's text was heard, from how much of its sound was.

Each piece of text carries the time in the reply's sound at which it begins, where the engine says so. An engine whose
text runs ahead of its speech gives times that are too early, so a piece never counts as heard before its share of the
sound either.
"""

from __future__ import annotations

from dataclasses import dataclass

MS_PER_CHAR = 45
"""Fast speech (22 characters a second): the earliest that a text can have been spoken while its length is unknown."""
EARLY_SHARE = 0.7
"""With the whole length known, a piece is not counted before this share of its even place: pauses move words around."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of text. `start_ms`: where its sound begins, None when the engine did not say."""

    text: str
    start_ms: int | None = None


def full_text(pieces: tuple[Piece, ...]) -> str:
    return "".join(piece.text for piece in pieces)


def heard_text(pieces: tuple[Piece, ...], heard_ms: int, total_ms: int | None) -> str:
    """The words that were heard in `heard_ms`, whole words only. `total_ms`: length of the sound, None while unknown.

    Grows with `heard_ms`; "" at 0; everything when `heard_ms` reaches `total_ms`.
    """
    whole = full_text(pieces)
    if heard_ms <= 0 or not whole:
        return ""
    if total_ms is not None and heard_ms >= total_ms:
        return whole
    starts_ms = _starts_ms(pieces, len(whole), total_ms)
    n_heard = 0
    for number, piece in enumerate(pieces):
        start_ms = starts_ms[number]
        if start_ms > heard_ms:
            break
        following_ms = starts_ms[number + 1] if number + 1 < len(pieces) else None
        if following_ms is None:
            following_ms = float(total_ms) if total_ms is not None else start_ms + len(piece.text) * MS_PER_CHAR
        span_ms = following_ms - start_ms
        share = 1.0 if span_ms <= 0 else min(1.0, (heard_ms - start_ms) / span_ms)
        n_heard += int(len(piece.text) * share)
        if share < 1.0:
            break
    return _whole_words(whole, n_heard)


def _starts_ms(pieces: tuple[Piece, ...], n_chars: int, total_ms: int | None) -> list[float]:
    ms_per_char = MS_PER_CHAR if total_ms is None else EARLY_SHARE * total_ms / n_chars
    starts: list[float] = []
    before = 0
    latest = 0.0
    for piece in pieces:
        if piece.start_ms is not None:
            earliest = max(float(piece.start_ms), before * ms_per_char)
        elif total_ms is not None:
            earliest = before * total_ms / n_chars
        else:
            earliest = before * MS_PER_CHAR * 1.4
        latest = max(latest, earliest)
        starts.append(latest)
        before += len(piece.text)
    return starts


def _whole_words(text: str, n_chars: int) -> str:
    """At most `n_chars` of `text`, cut back to the end of a word."""
    if n_chars >= len(text) or text[n_chars].isspace():
        return text[:n_chars].rstrip()
    cut = n_chars
    while cut > 0 and not text[cut - 1].isspace():
        cut -= 1
    return text[:cut].rstrip()
