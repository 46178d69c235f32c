"""Recordings of real people, where there are some: what they say is written down, and is outside flash-mini's world.

    python -m training.people ORDERS.tar LJ.tar WORDS.tar [FOLDER] [--runs DIR]

Puts the archives (see training/README.md) into `people/*.i16` and `.json`. Of the orders every fourth recording is kept
back for evaluation. A folder holds recordings of telephone announcements (Debian's asterisk-core-sounds-en-wav); what
they say is not written down, and those whose names begin with a letter after m are kept back.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from training import config
from training.hearing_audio import RATE_HZ

Pcm = npt.NDArray[np.float32]
_KEPT_BACK = 4  # one in so many
_LAST_ANNOUNCEMENT = "m"


@dataclass(frozen=True)
class Recordings:
    """Samples end to end, and of each recording its start, its length and its words ("" where nobody wrote them)."""

    pcm: npt.NDArray[np.int16]
    entries: list[tuple[int, int, str]]

    def __len__(self) -> int:
        return len(self.entries)

    def take(self, number: int) -> tuple[Pcm, str]:
        """Samples float32 [n] and words of one recording."""
        start, count, said = self.entries[number]
        return self.pcm[start : start + count].astype(np.float32) / np.float32(32768), said


def plain_words(written: str) -> str:
    """Words as they are transcribed: lower case, no punctuation."""
    return " ".join(re.sub(r"[^a-z' ]+", " ", written.lower().replace("-", " ")).split())


def is_kept_back(name: str) -> bool:
    """Whether a recording is for evaluation only."""
    return zlib.crc32(name.encode()) % _KEPT_BACK == 0


def unpack(archive: Path) -> list[tuple[str, Pcm, str]]:
    """Name, samples and words of every recording of an archive."""
    with tarfile.open(archive) as tar:
        files = {Path(member.name).name: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
        table = files.pop("transcripts.tsv", None)
        lines = table.read().decode().splitlines() if table is not None else []
        said = dict(line.split("\t", 1) for line in lines if "\t" in line)
        found = []
        for name, file in sorted(files.items()):
            if file is None or not name.endswith((".flac", ".wav")):
                continue
            pcm, rate_hz = soundfile.read(io.BytesIO(file.read()), dtype="float32")
            pcm = np.asarray(soxr.resample(pcm, rate_hz, RATE_HZ), np.float32)
            words = said.get(name, re.split(r"[-_.]", name)[0] if not said else "")
            found.append((name, pcm, plain_words(words)))
    return found


def announcements(folder: Path) -> list[tuple[str, Pcm, str]]:
    """Recordings of telephone announcements that may be trained on."""
    found = []
    for path in sorted(folder.rglob("*.wav")):
        if "a" <= path.name[0].lower() <= _LAST_ANNOUNCEMENT:
            pcm, rate_hz = soundfile.read(path, dtype="float32")
            if len(pcm) > 0.7 * rate_hz:
                found.append((path.name, np.asarray(soxr.resample(pcm, rate_hz, RATE_HZ), np.float32), ""))
    return found


def save(folder: Path, name: str, recordings: list[tuple[str, Pcm, str]]) -> None:
    """Write one set."""
    folder.mkdir(parents=True, exist_ok=True)
    entries, start = [], 0
    with (folder / f"{name}.i16").open("wb") as file:
        for _, pcm, words in recordings:
            scaled = pcm * (0.5 / max(float(np.abs(pcm).max()), 1e-3))
            file.write(np.round(np.clip(scaled, -1, 1) * 32767).astype(np.int16).tobytes())
            entries.append((start, len(pcm), words))
            start += len(pcm)
    (folder / f"{name}.json").write_text(json.dumps(entries))


def load(folder: Path, name: str) -> Recordings | None:
    """One set, its samples mapped; None where there is none."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    entries = [(int(start), int(count), str(words)) for start, count, words in json.loads(path.read_text())]
    return Recordings(np.memmap(path.with_suffix(".i16"), np.int16, "r"), entries)


def main() -> None:
    """Unpack archives."""
    parser = argparse.ArgumentParser(description="Take recordings of people for training and evaluation.")
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS)
    options = parser.parse_args()
    folder = options.runs / "people"
    for archive in options.archives:
        if archive.is_dir():
            save(folder, "prompts", announcements(archive))
            continue
        found = unpack(archive)
        kept = [entry for entry in found if archive.stem == "orders" and is_kept_back(entry[0])]
        save(folder, archive.stem, [entry for entry in found if not kept or not is_kept_back(entry[0])])
        if kept:
            save(folder, f"test_{archive.stem}", kept)
        print(f"{archive.stem}: {len(found) - len(kept)} to learn from, {len(kept)} kept back")


if __name__ == "__main__":
    main()
