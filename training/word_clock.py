"""How long each word takes and which phones it has: a table measured once with flite's two voices.

    python -m training.word_clock [--workers W]

`word_clock.json` beside this file keeps the words of the training texts, so that timing a reply needs no synthesis; a
word that is not in it is measured when it is met. Key: the word in lower case, `|1` before a pause, `|0` elsewhere.
Value: mean seconds of both voices, then the phones with the share of the word's time at which each ends.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
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


def _key(core: str, final: bool) -> str:
    return f"{core.lower()}|{int(final)}"


def _measure(core: str, final: bool) -> list[object]:
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
def _table() -> dict[str, list[object]]:
    if not TABLE.exists():
        return {}
    table: dict[str, list[object]] = json.loads(TABLE.read_text())
    return table


@cache
def word_time(core: str, final: bool) -> WordTime:
    """The time of a word without punctuation; `final`: a pause follows it. Measures words the table does not have."""
    row = _table().get(_key(core, final)) or _measure(core, final)
    return WordTime(float(str(row[0])), tuple(str(p) for p in row[1::2]), tuple(float(str(e)) for e in row[2::2]))


def _job(item: tuple[str, bool]) -> tuple[str, list[object]]:
    return _key(*item), _measure(*item)


def words_of(texts: list[str]) -> list[tuple[str, bool]]:
    """Every (word, before a pause) of the texts, once, in order."""
    from training import timing

    found: dict[tuple[str, bool], None] = {}
    for text in texts:
        words = timing.spoken_words(text)
        for number, word in enumerate(words):
            core, punctuation = flite.split_punctuation(word)
            found[core.lower(), bool(punctuation) or number == len(words) - 1] = None
    return list(found)


def main() -> None:
    """Measure the words of the training texts that the table does not have yet."""
    from training.voice_texts import domain_texts, general_texts

    parser = argparse.ArgumentParser(description="Measure how long each word of the training texts takes.")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    table = dict(_table())
    todo = [item for item in words_of(domain_texts() + general_texts(1800, None)) if _key(*item) not in table]
    print(f"{len(todo)} words to measure, {len(table)} known", flush=True)
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(chosen.workers) as pool:
        for number, (key, row) in enumerate(pool.imap(_job, todo, chunksize=16), 1):
            table[key] = row
            if number % 200 == 0 or number == len(todo):
                rows = ",\n".join(
                    f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in sorted(table.items())
                )
                TABLE.write_text("{\n" + rows + "\n}\n")
                print(f"{number} words, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
