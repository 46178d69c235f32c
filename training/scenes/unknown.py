"""Pictures of what flash-mini does not know: photographs, clip art, icons, pages of text, made-up patterns.

    python -m training.scenes.unknown FOLDER [FOLDER ...] [--runs DIR]

Collects crops of every picture below the folders (Debian's wallpapers and clip art, say) in `pictures/unknown.npy`. The
answer to any question about such a picture is that it cannot be told what it is; whether it is dark or blurred stays
true. Evaluation uses other packages (`training.evaluate_real`).
"""

from __future__ import annotations

import argparse
import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from training import config
from training.domain import words
from training.scenes.answers import TOO_BLURRED, TOO_DARK
from training.scenes.scene import PICTURE_SIZES

Rgb = npt.NDArray[np.uint8]
UNKNOWN = "I cannot tell what that is."
POOL_SIZE = (192, 256)
_CROPS, _MAX_CLIP_ART = 14, 4000
_MOST_PIXELS = 9_000_000
_LIGHT = 60.0  # mean of a picture in a lit room, at least
_ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".webp"))
# Clip art of what flash-mini does know would be told apart by its style alone.
_KNOWN = re.compile(
    "|".join(
        (
            *words.OBJECTS,
            "mug",
            "glass",
            "home",
            "build",
            "hut",
            "plant",
            "auto",
            "truck",
            "taxi",
            "shark",
            "seat",
            "ball",
        )
    )
)


@dataclass(frozen=True)
class Strange:
    """A picture outside the world, and what is true of it all the same."""

    rgb: Rgb
    dark: bool = False
    blurred: bool = False

    def answer(self, intent: str) -> str:
        """The right answer to a question about it."""
        if intent == "light":
            return "It is dark." if self.dark else "It is light."
        if intent == "quality":
            return "The picture is too dark." if self.dark else (
                "The picture is blurred." if self.blurred else "The picture is clear."
            )  # fmt: skip
        return TOO_DARK if self.dark else TOO_BLURRED if self.blurred else UNKNOWN


def fit(rgb: Rgb, height: int, width: int) -> Rgb:
    """The middle of a picture with the shape wanted, scaled."""
    rows, columns = rgb.shape[:2]
    keep_rows = min(rows, round(columns * height / width))
    keep_columns = min(columns, round(rows * width / height))
    top, left = (rows - keep_rows) // 2, (columns - keep_columns) // 2
    cut = np.ascontiguousarray(rgb[top : top + keep_rows, left : left + keep_columns])
    way = cv2.INTER_AREA if keep_rows > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cut, (width, height), interpolation=way), np.uint8)


def read_picture(path: Path) -> Rgb | None:
    """RGB of a file, what is transparent on grey or white; None where it cannot be read, is tiny or huge."""
    try:
        with Image.open(path) as header:
            size = header.size
    except (OSError, Image.DecompressionBombError):
        return None
    if min(size) < 48 or size[0] * size[1] > _MOST_PIXELS:
        return None
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if read is None:
        return None
    if read.dtype != np.uint8:
        read = (read / 257).astype(np.uint8)
    if read.ndim == 2:
        return np.asarray(cv2.cvtColor(read, cv2.COLOR_GRAY2RGB), np.uint8)
    if read.shape[2] == 4:
        share = read[..., 3:].astype(np.float32) / 255
        below = np.float32(np.random.default_rng(len(path.name)).choice((255, 235, 170, 128)))
        read = (read[..., :3] * share + below * (1 - share)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(read[..., :3]), cv2.COLOR_BGR2RGB), np.uint8)


def _crop(rgb: Rgb, rng: random.Random) -> Rgb:
    """A part of a large picture, or the whole of it."""
    rows, columns = rgb.shape[:2]
    scale = 1.0 if min(rows, columns) < 300 else rng.uniform(0.25, 1.0)
    high, wide = max(48, int(rows * scale)), max(48, int(columns * scale))
    top, left = rng.randint(0, max(0, rows - high)), rng.randint(0, max(0, columns - wide))
    return rgb[top : top + high, left : left + wide]


def _on_ground(rgb: Rgb, rng: random.Random) -> Rgb:
    """Clip art whole, with some room around it."""
    side = int(max(rgb.shape[0] * 4 / 3, rgb.shape[1]) * rng.uniform(1.05, 1.6))
    shape = (int(side * 3 / 4), side)
    ground = np.full((*shape, 3), rgb[0, 0], np.uint8)
    top, left = (shape[0] - rgb.shape[0]) // 2, (shape[1] - rgb.shape[1]) // 2
    ground[max(0, top) : top + rgb.shape[0], left : left + rgb.shape[1]] = rgb[max(0, -top) :][: shape[0]]
    return ground


def collect(folders: list[Path], rng: random.Random) -> list[Rgb]:
    """Crops of every usable picture below the folders."""
    paths = sorted(p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in _ENDINGS and p.is_file())
    rng.shuffle(paths)
    found: list[Rgb] = []
    n_clip_art = 0
    for path in paths:
        if _KNOWN.search(path.stem.lower()):
            continue
        is_clip_art = path.stat().st_size < 120_000 and path.suffix.lower() == ".png"
        if is_clip_art and n_clip_art >= _MAX_CLIP_ART:
            continue
        rgb = read_picture(path)
        if rgb is None:
            continue
        if max(rgb.shape) > 1600:
            scale = 1600 / max(rgb.shape)
            rgb = np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        n_clip_art += is_clip_art
        for _ in range(1 if is_clip_art else _CROPS):
            part = fit(_on_ground(rgb, rng) if is_clip_art else _crop(rgb, rng), *POOL_SIZE)
            if part.std() > 12:  # a piece of plain wall or sky is a picture with nothing in it
                found.append(part)
    return found


@cache
def _load(path: Path) -> npt.NDArray[np.uint8]:
    found: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return found


def _pool(path: Path) -> npt.NDArray[np.uint8] | None:
    return _load(path) if path.exists() else None


def _page(rng: random.Random) -> Rgb:
    """A page or a screen full of text."""
    height, width = POOL_SIZE
    paper = rng.choice(((250, 250, 248), (255, 255, 255), (30, 32, 36), (235, 228, 210)))
    page = np.full((height, width, 3), paper, np.uint8)
    ink = (20, 20, 20) if sum(paper) > 380 else (225, 225, 225)
    size = rng.uniform(0.22, 0.5)
    line = int(size * 34) + 3
    for top in range(rng.randint(8, 30), height, line):
        said = " ".join("".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 8))) for _ in range(rng.randint(2, 9)))
        cv2.putText(page, said, (rng.choice((6, 14)), top), cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)
    for _ in range(rng.choice((0, 0, 1, 3))):
        corner = (rng.randrange(width), rng.randrange(height))
        colour = [rng.randrange(256) for _ in range(3)]
        cv2.rectangle(page, corner, (corner[0] + rng.randint(10, 120), corner[1] + rng.randint(6, 60)), colour, -1)
    return page


def _pattern(rng: random.Random) -> Rgb:
    """Many random outlines and blobs: much to see, nothing known."""
    height, width = POOL_SIZE
    noise = np.random.default_rng(rng.randrange(1 << 30))
    cells = noise.integers(0, 256, (rng.randint(3, 9), rng.randint(4, 12), 3)).astype(np.uint8)
    picture: Any = cv2.resize(cells, (width, height), interpolation=rng.choice((cv2.INTER_CUBIC, cv2.INTER_NEAREST)))
    for _ in range(rng.randint(2, 14)):
        middle = noise.uniform((0, 0), (width, height))
        angles = np.sort(noise.uniform(0, 2 * math.pi, rng.randint(5, 11)))
        radius = noise.uniform(8, 70, len(angles))
        points = middle + np.stack((np.cos(angles), np.sin(angles)), 1) * radius[:, None]
        colour = [int(v) for v in noise.integers(0, 256, 3)]
        if rng.random() < 0.6:
            cv2.fillPoly(picture, [points.astype(np.int32)], colour, cv2.LINE_AA)
        else:
            cv2.polylines(picture, [points.astype(np.int32)], False, colour, rng.randint(1, 6), cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def draw(runs: Path, rng: random.Random) -> Strange:
    """A picture outside the world; now and then too dark or too blurred."""
    pool = _pool(runs / "pictures" / "unknown.npy")
    if pool is not None and rng.random() < 0.85:
        rgb = np.array(pool[rng.randrange(len(pool))])
    else:
        rgb = _page(rng) if rng.random() < 0.4 else _pattern(rng)
    if rng.random() < 0.5:
        rgb = rgb[:, ::-1]
    rgb = _crop(rgb, rng) if rng.random() < 0.3 else rgb
    dark, blurred = ((chance := rng.random()) < 0.07), 0.07 <= chance < 0.13
    height, width = rng.choice(PICTURE_SIZES)
    shown: Any = fit(np.ascontiguousarray(rgb), height, width).astype(np.float32)
    if blurred:
        shown = cv2.GaussianBlur(shown, (0, 0), rng.uniform(9, 16))
    gain = np.array([rng.uniform(0.85, 1.15) for _ in range(3)], np.float32) * np.float32(rng.uniform(0.7, 1.15))
    shown = shown * gain
    shown += np.float32(max(0.0, _LIGHT - float(shown.mean())))  # a dark page in a light room is no dark room
    shown *= np.float32(rng.uniform(0.02, 0.1) if dark else 1.0)
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(0.5, 5), shown.shape)
    return Strange(np.clip(shown + noise, 0, 255).astype(np.uint8), dark, blurred)


def _folders(given: list[Path]) -> Iterator[Path]:
    for folder in given:
        if not folder.is_dir():
            raise SystemExit(f"{folder} is no folder; give folders with pictures in them")
        yield folder


def main() -> None:
    """Collect a pool."""
    parser = argparse.ArgumentParser(description="Collect pictures that flash-mini does not know.")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS)
    options = parser.parse_args()
    found = collect(list(_folders(options.folders)), random.Random(config.SEED))
    out = options.runs / "pictures" / "unknown.npy"
    out.parent.mkdir(parents=True, exist_ok=True)
    waiting = out.with_suffix(".new.npy")  # a training that runs takes the file as soon as it is there
    np.save(waiting, np.stack(found))
    waiting.replace(out)
    print(f"{len(found)} crops in {out}")


if __name__ == "__main__":
    main()
