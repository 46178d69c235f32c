"""How bright it is, and where the light comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from video_io.frames import Rgb
from video_io.opencv import shrink

GRID = 48  # the picture is looked at in so many by so many parts
UNEVEN = 1.25
"""From this ratio between two sides on, the light has a direction."""
GLARING = 250.0  # of 255
LOWEST_HZ, HIGHEST_HZ = 220.0, 1760.0
"""The tone of no light and of full light: three octaves."""


@dataclass(frozen=True, slots=True)
class Light:
    """`level`: mean brightness, 0..1. `sideways` -1 (left) .. 1 (right) and `upright` -1 (above) .. 1 (below): which
    side is brighter, 0 where neither is. `source`: (x, y) of a lamp or window that glares, in shares of the picture."""

    level: float
    sideways: float
    upright: float
    source: tuple[float, float] | None = None


def measure_light(rgb: Rgb) -> Light:
    luma: NDArray[np.float64] = shrink(rgb, GRID, GRID) @ np.array([0.299, 0.587, 0.114])  # [GRID, GRID]
    third = GRID // 3
    sideways = _tilt(luma[:, :third].mean(), luma[:, -third:].mean())
    upright = _tilt(luma[:third].mean(), luma[-third:].mean())
    glaring = luma >= GLARING
    source = None
    if 0.002 <= glaring.mean() <= 0.25:
        ys, xs = np.nonzero(glaring)
        source = (float((xs.mean() + 0.5) / GRID), float((ys.mean() + 0.5) / GRID))
    return Light(float(luma.mean()) / 255, sideways, upright, source)


def tell_light(rgb: Rgb) -> str:
    """One or two sentences; the camera evens light out, so that no more than this can be told."""
    return describe(measure_light(rgb))


def describe(light: Light) -> str:
    words = next(word for limit, word in _LEVELS if light.level < limit)
    if light.source is not None:
        x, y = light.source
        return f"It is {words}. A lamp or a window is {_place(x - 0.5, y - 0.5)}."
    if light.sideways or light.upright:
        return f"It is {words}. The light comes {_from(light.sideways, light.upright)}."
    return f"It is {words}, and the light is even."


def tone_hz(level: float) -> float:
    """The pitch that stands for a brightness 0..1; equal steps for the eye are equal steps for the ear."""
    return float(LOWEST_HZ * (HIGHEST_HZ / LOWEST_HZ) ** min(1.0, max(0.0, level)))


_LEVELS = (
    (0.05, "dark"),
    (0.18, "very dim"),
    (0.32, "dim"),
    (0.62, "moderately bright"),
    (0.85, "bright"),
    (2.0, "very bright"),
)


def _tilt(first: float, second: float) -> float:
    """-1 or 1 for the side that is brighter by `UNEVEN` (first: -1), in between by how much; 0 when about even."""
    ratio = (second + 4) / (first + 4)
    if 1 / UNEVEN < ratio < UNEVEN:
        return 0.0
    return float(np.clip(np.log(ratio) / np.log(4), -1, 1))


def _from(sideways: float, upright: float) -> str:
    if abs(sideways) > 2 * abs(upright):
        upright = 0.0
    elif abs(upright) > 2 * abs(sideways):
        sideways = 0.0
    side = "left" if sideways < 0 else "right"
    height = "above" if upright < 0 else "below"
    if sideways and upright:
        return f"from {height} on the {side}"
    return f"from the {side}" if sideways else f"from {height}"


def _place(x: float, y: float) -> str:
    """x and y from the middle, -0.5..0.5."""
    across = "" if abs(x) < 0.17 else "on the left" if x < 0 else "on the right"
    up = "" if abs(y) < 0.17 else "at the top" if y < 0 else "at the bottom"
    return " ".join(part for part in (up, across) if part) or "straight ahead"
