"""How long each word takes and which phones it has: a table measured once with flite's two voices.

`word_clock.json` beside this file keeps the words of the training texts, so that timing a reply needs no synthesis; a
word that is not in it is measured when it is met. Key: the word in lower case, `|1` before a pause, `|0` elsewhere.
Value: mean seconds of both voices, then the phones with the share of the word's time at which each ends.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from training import flite

TABLE = Path(__file__).with_name("word_clock.json")
_VOICES = ("rms", "slt")


@dataclass(frozen=True)
class WordTime:
    """Seconds that a word lasts; its phones and the share of that time (0..1) at which each ends."""

    seconds: float
    phones: tuple[str, ...]
    ends: tuple[float, ...]


def key(core: str, final: bool) -> str:
    """A word's key in the table."""
    return f"{core.lower()}|{int(final)}"


def measure(core: str, final: bool) -> list[object]:
    """A row of the table for one word, spoken by both voices."""
    words = ["now", core + "." if final else core] + ([] if final else ["again"])
    total_s = 0.0
    shares: list[object] = []
    for voice in _VOICES:
        utterance = flite.synthesise(voice, words)
        start_s, end_s = utterance.word_spans_s(len(words))[1]
        total_s += end_s - start_s
        if not shares and end_s > start_s:
            for segment in utterance.segments:
                if segment.word == 1:
                    shares += [segment.phone, round((segment.end_s - start_s) / (end_s - start_s), 3)]
    return [round(total_s / len(_VOICES), 4), *shares]


@cache
def table() -> dict[str, list[object]]:
    """The rows that are known by their keys."""
    if not TABLE.exists():
        return {}
    rows: dict[str, list[object]] = json.loads(TABLE.read_text())
    return rows


@cache
def word_time(core: str, final: bool) -> WordTime:
    """The time of a word without punctuation; `final`: a pause follows it. Measures words the table does not have."""
    row = table().get(key(core, final)) or measure(core, final)
    return WordTime(float(str(row[0])), tuple(str(p) for p in row[1::2]), tuple(float(str(e)) for e in row[2::2]))
