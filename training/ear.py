"""An independent ear: pocketsphinx writes down speech, to compare its intelligibility with the source voice's."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_SPELLING = {"grey": "gray", "colour": "color", "colours": "colors", "centre": "center", "okay": "ok"}


@cache
def _decoder() -> Any:
    from pocketsphinx import Decoder

    return Decoder(samprate=16_000, loglevel="FATAL")


def words(text: str) -> list[str]:
    """Words of a text in the form in which they are compared: lower case, no punctuation, small numbers spelled out."""
    found = re.findall(r"[a-z']+|[0-9]+", text.lower().replace("o'clock", "o'clock"))
    spelled = [_ONES[int(w)] if w.isdigit() and int(w) < len(_ONES) else w for w in found]
    return [_SPELLING.get(word, word) for word in spelled]


def write_down(pcm: npt.NDArray[np.float32], rate_hz: int) -> list[str]:
    """What pocketsphinx hears in `pcm` (mono, -1..1)."""
    narrow = soxr.resample(pcm, rate_hz, 16_000) if rate_hz != 16_000 else pcm
    peak = max(float(np.abs(narrow).max()), 1e-3)
    samples = (narrow * (0.6 / peak) * 32767).astype(np.int16)
    silence = np.zeros(3200, np.int16)
    decoder = _decoder()
    decoder.start_utt()
    decoder.process_raw(np.concatenate([silence, samples, silence]).tobytes(), no_search=False, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return words(re.sub(r"\(\d+\)", "", hypothesis.hypstr)) if hypothesis else []


def word_errors(said: list[str], heard: list[str]) -> int:
    """Substitutions, insertions and deletions that turn `said` into `heard`."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]
