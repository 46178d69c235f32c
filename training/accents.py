"""Accents made by rule: voices of espeak-ng that say English with other vowels, lengths and formants.

espeak-ng has seven accents of English beside the one that is kept back, too few to learn what accents have in common.
`make` writes voice files with random `replace` rules (a vowel becomes its neighbour, a diphthong one vowel, a th an f),
stress lengths and formants, on the sounds of one of the seven; the format is that of espeak-ng's docs/voices.md.
"""

from __future__ import annotations

import random
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

# The sounds of these accents; those of the accent that is kept back (en-sc) are not among them.
_PHONEMES = ("en", "en-us", "en-n", "en-wm", "en-rp", "en-wi", "en-us-nyc")
_DICTIONARY_RULES = ("", "2 5", "3 6", "6", "8")
# What a sound may become. Where: 00 everywhere, 02 in unstressed syllables and 03 at the end of a word, as well.
_VOWELS: dict[tuple[str, str], tuple[str, ...]] = {
    ("00", "I"): ("i", "E"), ("00", "i:"): ("I", "i"), ("00", "E"): ("e", "I", "a"), ("00", "a"): ("aa", "A:", "E"),
    ("00", "aa"): ("a", "A:"), ("00", "A:"): ("a", "aa", "0"), ("00", "0"): ("O:", "A:", "V"),
    ("00", "O:"): ("0", "o:"),
    ("00", "V"): ("U", "a"), ("00", "U"): ("u:", "u"), ("00", "u:"): ("U", "u"), ("02", "u:"): ("U",),
    ("00", "3:"): ("E", "V", "VR"), ("00", "eI"): ("e:", "E", "aI"), ("00", "oU"): ("o:", "O:", "aU"),
    ("00", "aI"): ("OI", "A:"), ("00", "aU"): ("oU", "u:"), ("00", "e@"): ("e:", "E"), ("00", "i@"): ("i:",),
    ("03", "@"): ("V", "E"), ("03", "3"): ("V", "@"), ("03", "I"): ("i",), ("03", "I2"): ("i",), ("03", "i"): ("I",),
}  # fmt: skip
_CONSONANTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("00", "D"): ("d", "z", "v"), ("00", "T"): ("t", "s", "f"), ("03", "N"): ("n",), ("00", "h"): ("NULL",),
    ("00", "z"): ("s",), ("00", "w"): ("v",),
}  # fmt: skip


@dataclass(frozen=True)
class Accents:
    """Voices of espeak-ng in a data directory of our own: `espeak-ng --path=path -v voice`."""

    path: Path
    voices: tuple[str, ...]


def _draw(name: str, rng: random.Random) -> str:
    """The text of a voice file."""
    lines = [f"name {name}", f"language {name}", "language en 9", f"phonemes {rng.choice(_PHONEMES)}"]
    if dictionary_rules := rng.choice(_DICTIONARY_RULES):
        lines.append(f"dictrules {dictionary_rules}")
    short, usual, long = (rng.randint(*span) for span in ((120, 180), (160, 205), (240, 300)))
    lines.append(f"stressLength {usual - 10} {short} {usual} {usual} {usual + 20} {usual + 20} {long - 20} {long}")
    lines.append(f"intonation {rng.randint(1, 4)}")
    tract = rng.uniform(92, 110)  # a longer or shorter vocal tract moves all formants together
    lines += [f"formant {n} {tract * rng.uniform(0.96, 1.04):.0f} 100 100" for n in range(1, 6)]
    rules = rng.sample(list(_VOWELS), rng.randint(2, 7))
    rules += [rule for rule in _CONSONANTS if rng.random() < 0.08]
    for rule in rules:
        lines.append(f"replace {' '.join(rule)} {rng.choice((_VOWELS | _CONSONANTS)[rule])}")
    return "\n".join(lines) + "\n"


def make(folder: Path, rng: random.Random, count: int) -> Accents:
    """Write `count` voices below `folder`. Raises RuntimeError when espeak-ng does not say where its data is."""
    told = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    found = re.search(r"Data at: (.+)", told)
    if found is None:
        raise RuntimeError(f"espeak-ng does not say where its data is: {told!r}")
    installed, data = Path(found[1].strip()), folder / "espeak-ng-data"
    languages = data / "lang" / "gmw"
    languages.mkdir(parents=True, exist_ok=True)
    for path in installed.iterdir():
        if path.name != "lang" and not (data / path.name).exists():
            (data / path.name).symlink_to(path)
    voices = tuple(f"en-x-made{number}" for number in range(count))
    for voice in voices:
        (languages / voice).write_text(_draw(voice, rng))
    return Accents(folder, voices)
