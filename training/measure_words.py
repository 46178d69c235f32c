"""Measures the words of the training texts that `word_clock.json` does not have yet.

python -m training.measure_words [--workers W]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time

from training import flite, timing, word_clock
from training.voice_texts import domain_texts, general_texts


def _job(item: tuple[str, bool]) -> tuple[str, list[object]]:
    return word_clock.key(*item), word_clock.measure(*item)


def words_of(texts: list[str]) -> list[tuple[str, bool]]:
    """Every (word, before a pause) of the texts, once, in order."""
    found: dict[tuple[str, bool], None] = {}
    for text in texts:
        words = timing.spoken_words(text)
        for number, word in enumerate(words):
            core, punctuation = flite.split_punctuation(word)
            found[core.lower(), bool(punctuation) or number == len(words) - 1] = None
    return list(found)


def main() -> None:
    """Measure the words of the training texts that the table does not have yet."""
    parser = argparse.ArgumentParser(description="Measure how long each word of the training texts takes.")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    table = dict(word_clock.table())
    todo = [item for item in words_of(domain_texts() + general_texts(1800, None)) if word_clock.key(*item) not in table]
    print(f"{len(todo)} words to measure, {len(table)} known", flush=True)
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(chosen.workers) as pool:
        for number, (key, row) in enumerate(pool.imap(_job, todo, chunksize=16), 1):
            table[key] = row
            if number % 200 == 0 or number == len(todo):
                rows = ",\n".join(
                    f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in sorted(table.items())
                )
                word_clock.TABLE.write_text("{\n" + rows + "\n}\n")
                print(f"{number} words, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
