"""Pictures for the tests: a cluttered desk with print on it, made the same way every time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from video_io.frames import Rgb


def desk(seed: int = 0, *, height: int = 720, width: int = 1280, n_things: int = 40, print_on_it: bool = True) -> Rgb:
    rng = np.random.default_rng(seed)
    rgb = np.full((height, width, 3), (150, 140, 125), np.uint8)
    for _ in range(n_things):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        corner = (x + int(rng.integers(40, 300)), y + int(rng.integers(40, 300)))
        cv2.rectangle(rgb, (x, y), corner, tuple(int(v) for v in rng.integers(20, 200, 3)), -1)
    if print_on_it:
        for line in range(10):
            place = (40, 60 + line * 65)
            cv2.putText(rgb, "The quick brown fox 12345", place, cv2.FONT_HERSHEY_SIMPLEX, 1.2, (10, 10, 10), 2)
    return rgb


def write_video(path: Path, pictures: list[Rgb], rate_hz: float = 25) -> Path:
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate_hz, (width, height))
    assert writer.isOpened()
    for rgb in pictures:
        writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def numbered(n_pictures: int) -> list[Rgb]:
    """Flat grey pictures whose brightness says their number: 10 steps each."""
    return [np.full((48, 64, 3), 10 * number, np.uint8) for number in range(n_pictures)]
