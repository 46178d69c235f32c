"""`main.py bench turns-end`: is the end of a turn found soon, and is nobody cut off who only pauses?

In the manner of eot-bench, on recordings with their words: each is heard once whole (how long until the turn is over?)
and once with a pause at a word's border (is it taken for the end?). Three judges: silence alone, Smart Turn asked as it
is published (0.2 s of silence, then yes or no), and Sightline's use of it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from audio_io.blocks import INSIDE_RATE_HZ, Samples
from audio_io.errors import SoundError, WavFileError
from audio_io.library import import_package
from audio_io.segmenter_config import SegmenterConfig
from audio_io.sound_file import read_sound
from audio_io.turn_end import SmartTurn

TRANSCRIPTS: Final = "transcripts.tsv"
PAUSES_S: Final = (0.6, 1.0, 1.5)
BUDGETS_S: Final = (0.3, 0.6)
FALSE_SHARES: Final = (0.05, 0.10)
ASKED_S: Final = {"smart turn": 0.2, "ours": SegmenterConfig().judge_s}
PATIENCE_S: Final = 2.0
"""Smart Turn's own: what is not complete ends after so long."""
LEAST_WORDS: Final = 5


@dataclass(frozen=True, slots=True)
class Border:
    """One silence: the end of a whole recording, or a pause after a word in its middle."""

    file: str
    word: str
    at_s: float
    is_end: bool
    completeness: dict[str, float]
    """What Smart Turn says when each judge asks."""


@dataclass(frozen=True, slots=True)
class Row:
    judge: str
    ends: int
    pauses: int
    latency_p50_s: float
    latency_p95_s: float
    within_half_a_second: float
    false_by_pause: tuple[float, ...]
    """Share of the pauses of PAUSES_S taken for the end."""
    false_at_budget: tuple[float, ...]
    """The same over all pauses, with the judge set so that the mean wait is BUDGETS_S."""
    wait_at_false: tuple[float | None, ...]
    """Mean wait in s, with the judge set to take FALSE_SHARES of the pauses for the end; None: out of reach."""


def word_borders(folder: Path, most: int, seed: int) -> list[tuple[Path, list[tuple[str, float]]]]:
    """Recordings in random order with their words and when each ends, as pocketsphinx aligns them.

    Raises WavFileError for a folder without transcripts, PackageMissingError without pocketsphinx.
    """
    listing = folder / TRANSCRIPTS
    if not listing.is_file():
        raise WavFileError(
            f"There is no {TRANSCRIPTS} in {str(folder)!r}.",
            "It holds a file's name, a tab, and the words, on each line.",
        )
    module: Any = import_package("pocketsphinx", "pocketsphinx", "the words are not found in the recordings")
    decoder = module.Decoder(samprate=INSIDE_RATE_HZ, loglevel="FATAL", bestpath=False, lm=None)
    rows = [line.split("\t") for line in listing.read_text("utf-8").splitlines() if "\t" in line]
    random.Random(seed).shuffle(rows)
    found: list[tuple[Path, list[tuple[str, float]]]] = []
    for name, text, *_ in rows:
        words = re.sub(r"[^a-z' ]", " ", text.lower()).split()
        if len(words) < LEAST_WORDS or any(decoder.lookup_word(word) is None for word in words):
            continue
        ends = _align(decoder, words, read_sound(folder / name))
        if ends is not None:
            found.append((folder / name, list(zip(words, ends, strict=True))))
        if len(found) == most:
            break
    return found


def _align(decoder: Any, words: list[str], sound: Samples) -> list[float] | None:
    """End of each word in s; None where the words are not what is said."""
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    segments = [(re.sub(r"\(\d+\)", "", s.word), (s.end_frame + 1) / 100) for s in decoder.seg() or ()]
    spoken = [(word, end_s) for word, end_s in segments if word[:1] not in "<["]
    return [end_s for _, end_s in spoken] if [word for word, _ in spoken] == words else None


def listen(recordings: Sequence[tuple[Path, list[tuple[str, float]]]], seed: int) -> list[Border]:
    """Two borders of each recording: its end, and one after a word in its middle."""
    judge = SmartTurn()
    rng = random.Random(seed)
    borders = []
    for path, words in recordings:
        sound = read_sound(path)
        middle = rng.randrange(len(words) // 3, len(words) - 1)
        for place in (len(words) - 1, middle):
            word, at_s = words[place]
            heard = {name: judge.completeness(_until(sound, at_s, silence_s)) for name, silence_s in ASKED_S.items()}
            borders.append(Border(path.name, word, at_s, place == len(words) - 1, heard))
    return borders


def _until(sound: Samples, at_s: float, silence_s: float) -> Samples:
    """The recording up to `at_s`, then noise as loud as its quietest tenth of a second."""
    size = INSIDE_RATE_HZ // 10
    parts = [float(np.mean(sound[i : i + size] ** 2)) for i in range(0, max(1, len(sound) - size), size)]
    floor = np.sqrt(min(parts))
    noise = np.random.default_rng(0).standard_normal(round(silence_s * INSIDE_RATE_HZ)) * floor
    return np.concatenate((sound[: round(at_s * INSIDE_RATE_HZ)], noise.astype(np.float32)))


Wait = Callable[[Border, float], float]
"""(border, setting) -> the silence in s after which the turn is taken for over."""


def _silence(_: Border, setting: float) -> float:
    return setting


def _smart_turn(border: Border, setting: float) -> float:
    return ASKED_S["smart turn"] if border.completeness["smart turn"] >= setting else PATIENCE_S


def _ours(border: Border, setting: float) -> float:
    """`setting` shifts the logit; 0 is what Sightline does."""
    p = min(max(border.completeness["ours"], 1e-6), 1 - 1e-6)
    shifted = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + setting)))
    marks, hangs = zip(*SegmenterConfig().patience, strict=True)
    return float(np.interp(shifted, marks, hangs))


JUDGES: Final[dict[str, tuple[Wait, float, Sequence[float]]]] = {
    "silence": (_silence, SegmenterConfig().hang_s, [x / 100 for x in range(10, 201)]),
    "smart turn": (_smart_turn, 0.5, [x / 1000 for x in range(1001)]),
    "ours": (_ours, 0.0, [x / 20 for x in range(-160, 161)]),
}
"""Each judge with its usual setting and those that are tried."""


def score(name: str, borders: Sequence[Border]) -> Row:
    wait, usual, settings = JUDGES[name]
    ends = [border for border in borders if border.is_end]
    pauses = [border for border in borders if not border.is_end]

    def waits(setting: float) -> list[float]:
        return [wait(border, setting) for border in ends]

    def false_share(setting: float, lengths: Sequence[float] = PAUSES_S) -> float:
        return float(np.mean([wait(border, setting) <= length for border in pauses for length in lengths]))

    tried = [(float(np.mean(waits(setting))), false_share(setting)) for setting in settings]
    usual_waits = waits(usual)
    return Row(
        name,
        len(ends),
        len(pauses),
        round(float(np.percentile(usual_waits, 50)), 3),
        round(float(np.percentile(usual_waits, 95)), 3),
        round(float(np.mean(np.array(usual_waits) <= 0.5)), 3),
        tuple(round(false_share(usual, (length,)), 3) for length in PAUSES_S),
        tuple(
            round(min((share for mean_s, share in tried if mean_s <= budget), default=1.0), 3) for budget in BUDGETS_S
        ),
        tuple(
            min((round(mean_s, 3) for mean_s, share in tried if share <= most), default=None) for most in FALSE_SHARES
        ),
    )


def table(rows: Sequence[Row]) -> str:
    lines = [
        f"{rows[0].ends} whole recordings, {rows[0].pauses} pauses; each pause taken for {PAUSES_S} s",
        f"{'judge':<12}{'wait p50':>10}{'p95':>8}{'<= .5 s':>9}"
        + "".join(f"{f'cut at {pause} s':>14}" for pause in PAUSES_S)
        + "".join(f"{f'cut, mean {budget} s':>17}" for budget in BUDGETS_S)
        + "".join(f"{f'wait at {share:.0%}':>13}" for share in FALSE_SHARES),
    ]
    lines += [
        f"{row.judge:<12}{row.latency_p50_s:>8.2f} s{row.latency_p95_s:>6.2f} s{row.within_half_a_second:>9.0%}"
        + "".join(f"{share:>14.0%}" for share in row.false_by_pause)
        + "".join(f"{share:>17.0%}" for share in row.false_at_budget)
        + "".join(f"{'-' if wait_s is None else f'{wait_s:.2f} s':>13}" for wait_s in row.wait_at_false)
        for row in rows
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="sightline bench turns-end", description=(__doc__ or "").split("\n\n")[1].replace("\n", " ")
    )
    parser.add_argument("--speech", type=Path, required=True, help=f"folder of recordings with a {TRANSCRIPTS}")
    parser.add_argument("--recordings", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures and every judgement to this file as well")
    options = parser.parse_args(argv)
    try:
        recordings = word_borders(options.speech, options.recordings, options.seed)
        borders = listen(recordings, options.seed)
    except SoundError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not borders:
        sys.stderr.write(f"No recording in {options.speech} could be aligned with its words.\n")
        return 1
    rows = [score(name, borders) for name in JUDGES]
    sys.stdout.write(table(rows) + "\n")
    if options.json is not None:
        content = {"rows": [asdict(row) for row in rows], "borders": [asdict(border) for border in borders]}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0
