"""`main.py bench reading`: how well text in pictures is read, what is read where there is none, time and memory."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from commands.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from commands.reading_pictures import Made, pictures
from video_io.files import is_still, read_picture
from video_io.frames import Rgb, SourceError
from video_io.reading.page import Page
from video_io.reading.reader import Reader
from video_io.reading.recogniser import ReadingUnavailableError

PHOTO_PIXELS = 1280 * 720


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="sightline bench reading", description=__doc__)
    parser.add_argument("--part", choices=("tuned", "reported"), default="reported", help="which made pictures")
    parser.add_argument("--per-kind", type=int, default=9, help="pictures of each of eight kinds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--photos", type=Path, help="a folder of photographs without text; each gives up to five")
    parser.add_argument("--text", type=Path, help="a folder of pictures with a .txt of the same name beside each")
    parser.add_argument("--show", action="store_true", help="print what was read wrongly")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    if chosen.per_kind < 0:
        raise CommandError(EXIT_USAGE, "--per-kind must not be negative.")
    made = pictures(chosen.part, chosen.per_kind, chosen.seed)
    try:
        if chosen.text is not None:
            made += _with_text(chosen.text)
        base_mb = _resident_mb()
        _reset_peak()
        reader = Reader()
        result = measure(reader, made, show=chosen.show and not chosen.json)
        # Before photographs are opened: some are large.
        result["memory_mb"] = _peak_mb() - base_mb if _peak_mb() else None
        if chosen.photos is not None:
            result["photographs"] = measure_photographs(reader, chosen.photos)
    except ReadingUnavailableError as error:
        raise CommandError(EXIT_FAILED, str(error)) from error
    except SourceError as error:
        raise CommandError(EXIT_USAGE, error.message, error.remedy) from error
    sys.stdout.write(json.dumps(result, indent=2) + "\n" if chosen.json else _table(result))
    return EXIT_OK


def measure(reader: Reader, made: Sequence[Made], *, show: bool = False) -> dict[str, Any]:
    """Character errors, order, doubt and time for pictures whose text is known."""
    kinds: dict[str, list[dict[str, float]]] = {}
    for picture in made:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        page = reader.read(picture.rgb)
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        read, truth = plain(page.text), plain(picture.text)
        errors = distance(read, truth)
        good, pairs = order_right(page, picture.units)
        if show and (errors or good < pairs):
            sys.stderr.write(f"--- {picture.name}: {errors} of {len(truth)} wrong, order {good}/{pairs}\n{page.text}\n")
        kinds.setdefault(picture.kind, []).append(
            {"errors": errors, "letters": len(truth), "good": good, "pairs": pairs, "wall_s": wall_s, "cpu_s": cpu_s}
            | {"doubtful": sum(len(p.doubtful) for p in page.passages), "size_px": picture.size_px}
        )
    rows = {kind: _summary(found) for kind, found in kinds.items()}
    return {"kinds": rows, "all": _summary([one for found in kinds.values() for one in found])}


def _summary(found: Sequence[dict[str, float]]) -> dict[str, float]:
    if not found:
        return {"n": 0}
    n_letters, pairs = sum(f["letters"] for f in found), sum(f["pairs"] for f in found)
    return {
        "n": len(found),
        "character_error": sum(f["errors"] for f in found) / max(1, n_letters),
        "whole": sum(f["errors"] == 0 for f in found) / len(found),
        "order": sum(f["good"] for f in found) / pairs if pairs else 1.0,
        "doubtful_words": sum(f["doubtful"] for f in found),
        "p50_s": statistics.median(f["wall_s"] for f in found),
        "p50_cpu_s": statistics.median(f["cpu_s"] for f in found),
        "smallest_px": min(f["size_px"] for f in found),
    }


def measure_photographs(reader: Reader, folder: Path) -> dict[str, Any]:
    """Photographs in which nothing may be read: each whole, and its four quarters where they are large enough."""
    n, read_in = 0, []
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and is_still(path))
    for path in paths:
        for view, rgb in enumerate(_views(read_picture(path))):
            n += 1
            page = reader.read(rgb)
            if page.passages:
                read_in.append({"picture": f"{path.name}#{view}", "text": page.text})
    return {"photographs": len(paths), "n": n, "with_text_read": len(read_in), "read": read_in}


def _views(rgb: Rgb) -> list[Rgb]:
    height, width = rgb.shape[:2]
    views = [rgb]
    if height * width >= PHOTO_PIXELS:
        h, w = height // 2, width // 2
        views += [rgb[:h, :w], rgb[:h, w:], rgb[h:, :w], rgb[h:, w:]]
    return [_fit(view) for view in views]


def _fit(rgb: Rgb) -> Rgb:
    from video_io.sizing import fit_pixels

    return fit_pixels(rgb, PHOTO_PIXELS)


def _with_text(folder: Path) -> list[Made]:
    found = [path for path in sorted(folder.iterdir()) if path.is_file() and is_still(path)]
    return [
        Made(path.name, "given", read_picture(path), tuple(path.with_suffix(".txt").read_text("utf-8").splitlines()))
        for path in found
        if path.with_suffix(".txt").is_file()
    ]


def plain(text: str) -> str:
    """What counts as the same: runs of white space, and the commas that part the cells of a table for the ear."""
    return re.sub(r"\s+", " ", re.sub(r", ", " ", text)).strip()


def distance(one: str, other: str) -> int:
    """Letters to change, add or drop (Levenshtein)."""
    row = list(range(len(other) + 1))
    for n, letter in enumerate(one, 1):
        before, row[0] = row[0], n
        for m, wanted in enumerate(other, 1):
            before, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, before + (letter != wanted))
    return row[-1]


def order_right(page: Page, units: Sequence[str]) -> tuple[int, int]:
    """(units that come after the one before them in what was read, units that were found there)."""
    read, at, good, found = plain(page.text), 0, 0, 0
    for unit in map(plain, units):
        # Read with a mistake: where the longest part of it stands.
        match = SequenceMatcher(None, read, unit, autojunk=False).find_longest_match()
        part = unit if unit in read else unit[match.b : match.b + match.size]
        if len(part) < max(1, len(unit) // 3):
            continue
        found += 1
        following = read.find(part, at)
        if following >= 0:
            good += 1
            at = following + len(part)
    return good, found


def _table(result: dict[str, Any]) -> str:
    lines = ["kind        n  character error  read whole  order  doubtful   p50 s  cpu s  least px"]
    for kind, row in [*result["kinds"].items(), ("all", result["all"])]:
        if row["n"]:
            lines.append(
                f"{kind:10s}{row['n']:3d}  {row['character_error']:14.2%}  {row['whole']:10.0%}  {row['order']:5.1%}"
                f"  {row['doubtful_words']:8d}  {row['p50_s']:6.2f}  {row['p50_cpu_s']:5.2f}  {row['smallest_px']:8d}"
            )
    if photos := result.get("photographs"):
        lines.append(
            f"nothing to read: {photos['n']} views of {photos['photographs']} photographs, "
            f"text read in {photos['with_text_read']}"
        )
        lines += [f"  {found['picture']}: {found['text']!r}" for found in photos["read"]]
    if result["memory_mb"] is not None:
        lines.append(f"memory: {result['memory_mb']} MB at most beyond what was there before the models")
    return "\n".join(lines) + "\n"


def _status_mb(name: str) -> int:
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.read_text().splitlines() if line.startswith(name)), 0)


def _resident_mb() -> int:
    return _status_mb("VmRSS")


def _peak_mb() -> int:
    return _status_mb("VmHWM")


def _reset_peak() -> None:
    """Linux only: the peak begins anew, so that making the pictures does not count."""
    control = Path("/proc/self/clear_refs")
    if control.is_file():
        control.write_text("5")
