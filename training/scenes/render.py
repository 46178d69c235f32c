"""Draws scenes: uint8 RGB, with textured backgrounds, uneven light, tilt, blur and sensor noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.domain import words
from training.scenes.scene import DARK, Scene, Thing

Rgb = npt.NDArray[np.uint8]
_RGB = {
    "red": (205, 35, 35), "green": (40, 150, 55), "blue": (40, 75, 205), "yellow": (238, 215, 45),
    "orange": (240, 135, 30), "purple": (135, 50, 165), "black": (22, 22, 24), "white": (246, 246, 246),
}  # fmt: skip
_BACKGROUNDS = (
    (150, 150, 150), (120, 125, 130), (185, 175, 160), (165, 145, 120), (130, 110, 95), (200, 205, 210),
    (170, 185, 190), (190, 180, 200), (150, 165, 145), (210, 195, 175), (105, 100, 105), (175, 160, 165),
)  # fmt: skip
CELL = 32  # pixels of one Thinker position
Polygon = list[tuple[float, float]]


@dataclass(frozen=True)
class Labels:
    """What each cell of 32 x 32 pixels shows: 0 nothing, else number + 1; -100 where it is only a little.

    kinds, colours, letters: int64 [rows, columns]; orders: the letter's place in its word, -100 without one; centres: 1
    where the centre of a thing lies. figure: uint8 [rows, columns, 64], which of the 8 x 8 squares of a cell are
    covered by a thing or by ink.
    """

    kinds: npt.NDArray[np.int64]
    colours: npt.NDArray[np.int64]
    letters: npt.NDArray[np.int64]
    orders: npt.NDArray[np.int64]
    centres: npt.NDArray[np.int64]
    figure: npt.NDArray[np.uint8]


def _arc(x: float, y: float, radius: float, start: float = 0, end: float = 360, flat: float = 1.0) -> Polygon:
    return [
        (x + radius * math.cos(math.radians(a)), y + flat * radius * math.sin(math.radians(a)))
        for a in np.linspace(start, end, 40)
    ]


def _box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _heart() -> Polygon:
    points = []
    for t in np.linspace(0, 2 * math.pi, 60):
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x / 34, -y / 34))
    return points


def _star() -> Polygon:
    return [
        (r * math.sin(math.pi * k / 5), -r * math.cos(math.pi * k / 5))
        for k, r in enumerate([0.5, 0.2] * 5)
    ]  # fmt: skip


@cache
def _parts(kind: str) -> list[tuple[Polygon, str]]:
    """Polygons in -0.5..0.5 and how each is painted: `own` colour, `shade` (a darker own), or `gap` (background)."""
    shapes: dict[str, list[tuple[Polygon, str]]] = {
        "circle": [(_arc(0, 0, 0.5), "own")],
        "square": [(_box(-0.44, -0.44, 0.44, 0.44), "own")],
        "triangle": [([(0, -0.48), (0.5, 0.42), (-0.5, 0.42)], "own")],
        "star": [(_star(), "own")],
        "heart": [(_heart(), "own")],
        "cup": [
            (_arc(0.3, -0.02, 0.2), "own"),
            (_arc(0.3, -0.02, 0.11), "gap"),
            ([(-0.42, -0.36), (0.28, -0.36), (0.2, 0.38), (-0.34, 0.38)], "own"),
            (_arc(-0.07, -0.36, 0.35, flat=0.22), "shade"),
        ],
        "house": [
            (_box(-0.36, -0.08, 0.36, 0.48), "own"),
            ([(0, -0.5), (0.5, -0.06), (-0.5, -0.06)], "shade"),
            (_box(-0.1, 0.18, 0.1, 0.48), "gap"),
        ],
        "tree": [
            (_box(-0.08, 0.1, 0.08, 0.5), "shade"),
            (_arc(-0.17, 0.0, 0.23), "own"),
            (_arc(0.17, 0.0, 0.23), "own"),
            (_arc(0, -0.22, 0.27), "own"),
        ],
        "car": [
            ([(-0.28, -0.3), (0.18, -0.3), (0.34, -0.02), (-0.42, -0.02)], "own"),
            ([(-0.22, -0.23), (0.12, -0.23), (0.22, -0.04), (-0.32, -0.04)], "gap"),
            (_box(-0.5, -0.04, 0.5, 0.2), "own"),
            (_arc(-0.27, 0.2, 0.13), "shade"),
            (_arc(0.27, 0.2, 0.13), "shade"),
        ],
        "fish": [
            (_arc(-0.1, 0, 0.38, flat=0.62), "own"),
            ([(0.18, 0), (0.5, -0.26), (0.5, 0.26)], "own"),
            (_arc(-0.3, -0.07, 0.045), "gap"),
        ],
        "bottle": [
            (_box(-0.07, -0.5, 0.07, -0.2), "own"),
            (_box(-0.09, -0.5, 0.09, -0.42), "shade"),
            ([(-0.07, -0.25), (0.07, -0.25), (0.2, -0.06), (0.2, 0.5), (-0.2, 0.5), (-0.2, -0.06)], "own"),
            (_box(-0.2, 0.08, 0.2, 0.28), "shade"),
        ],
        "chair": [
            (_box(-0.32, -0.5, -0.2, 0.5), "own"),
            (_box(-0.32, 0.0, 0.34, 0.12), "own"),
            (_box(0.24, 0.1, 0.34, 0.5), "own"),
            (_box(-0.3, -0.48, -0.08, 0.02), "own"),
        ],
    }  # fmt: skip
    return shapes[kind]


def _points(polygon: Polygon, thing: Thing, height: int, width: int, tilt: float, mirror: bool) -> Any:
    cos, sin = math.cos(tilt), math.sin(tilt)
    size = thing.size * min(height, width)
    moved = [
        (
            thing.x * width + size * (cos * (-x if mirror else x) - sin * y),
            thing.y * height + size * (sin * (-x if mirror else x) + cos * y),
        )
        for x, y in polygon
    ]
    return np.round(np.array(moved) * 16).astype(np.int32)


def _texture(height: int, width: int, rng: np.random.Generator, strength: float) -> npt.NDArray[np.float32]:
    """Smooth noise of several scales, mean 0: float32 [H, W, 1]."""
    total = np.zeros((height, width), np.float32)
    for cells in (3, 8, 20, 60):
        small = rng.standard_normal((cells * 3 // 4 + 1, cells)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR) / np.float32(math.sqrt(cells))
    return (total * np.float32(strength))[..., None]


def _background(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    base = np.array(_BACKGROUNDS[rng.integers(len(_BACKGROUNDS))], np.float32) + rng.normal(0, 10, 3).astype(np.float32)
    picture: Any = np.broadcast_to(base, (height, width, 3)).astype(np.float32)
    kind = rng.integers(5)
    if kind == 1:
        slope = np.linspace(-1, 1, width if rng.random() < 0.5 else height, dtype=np.float32)
        ramp = slope[None, :, None] if len(slope) == width else slope[:, None, None]
        picture = picture + ramp * np.float32(rng.uniform(-35, 35))
    elif kind == 2:
        picture = picture + _texture(height, width, rng, float(rng.uniform(10, 45)))
    elif kind == 3:
        period = rng.uniform(12, 60)
        down = np.float32(rng.uniform(-1, 1)) * np.arange(height, dtype=np.float32)[:, None, None]
        across = np.arange(width, dtype=np.float32)[None, :, None] + down
        picture = picture + np.sign(np.sin(across * np.float32(2 * np.pi / period))) * np.float32(rng.uniform(5, 14))
    elif kind == 4:
        horizon = int(height * rng.uniform(0.35, 0.75))
        picture = picture.copy()
        picture[horizon:] += np.float32(rng.uniform(-40, 40))
        picture = picture + _texture(height, width, rng, float(rng.uniform(3, 20)))
    bounded: npt.NDArray[np.float32] = np.clip(picture, 60, 225)
    return bounded


@cache
def _fonts() -> list[Any]:
    """Typefaces of the system (fonts-dejavu) in printing sizes; OpenCV's own strokes are added when drawing."""
    from PIL import ImageFont

    folder = Path("/usr/share/fonts/truetype/dejavu")
    return [ImageFont.truetype(str(path), 64) for path in sorted(folder.glob("*.ttf"))]


_STROKES = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)


def _word_mask(word: str, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """The word in one of the typefaces, as coverage 0..1, cut to its ink."""
    fonts = _fonts()
    pick = int(rng.integers(len(fonts) + len(_STROKES)))
    if pick < len(fonts):
        from PIL import Image, ImageDraw

        image = Image.new("L", (80 * len(word) + 80, 140))
        ImageDraw.Draw(image).text((30, 20), word, font=fonts[pick], fill=255)
        ink: Any = np.asarray(image, np.float32) / 255
    else:
        canvas = np.zeros((140, 80 * len(word) + 80), np.uint8)
        face = _STROKES[pick - len(fonts)]
        cv2.putText(canvas, word, (30, 100), face, 2.2, 255, int(rng.integers(4, 9)), cv2.LINE_AA)
        ink = canvas.astype(np.float32) / 255
    rows, columns = np.flatnonzero(ink.max(1) > 0.1), np.flatnonzero(ink.max(0) > 0.1)
    cut: npt.NDArray[np.float32] = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cut


def _draw_word(
    picture: npt.NDArray[np.float32], figure: npt.NDArray[np.uint8], scene: Scene, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Prints the scene's word on a sign or straight on the background, marks its ink in `figure` [H, W].

    Returns its box as fractions.
    """
    height, width = picture.shape[:2]
    ink: Any = _word_mask(scene.word, rng)
    target_width = min(width * 0.92, width * (0.2 + 0.14 * len(scene.word)) * rng.uniform(0.8, 1.1))
    target_height = min(height * 0.42, target_width * ink.shape[0] / ink.shape[1] * rng.uniform(0.9, 1.2))
    target_width = min(target_width, target_height * ink.shape[1] / ink.shape[0] * 1.15)
    ink = cv2.resize(ink, (int(target_width), int(target_height)), interpolation=cv2.INTER_AREA)
    left = int(np.clip(scene.word_at[0] * width - ink.shape[1] / 2, 2, width - ink.shape[1] - 2))
    top = int(np.clip(scene.word_at[1] * height - ink.shape[0] / 2, 2, height - ink.shape[0] - 2))
    dark_ink = rng.random() < 0.6
    ink_colour = rng.uniform(0, 50, 3) if dark_ink else rng.uniform(225, 255, 3)
    if rng.random() < 0.7:
        pad = int(0.25 * ink.shape[0])
        sign = rng.uniform(200, 255, 3) if dark_ink else rng.uniform(10, 90, 3)
        picture[max(0, top - pad) : top + ink.shape[0] + pad, max(0, left - pad) : left + ink.shape[1] + pad] = sign
    elif not dark_ink:
        ink_colour = rng.uniform(0, 30, 3)
    area = picture[top : top + ink.shape[0], left : left + ink.shape[1]]
    area += (ink_colour.astype(np.float32) - area) * ink[..., None]
    figure[top : top + ink.shape[0], left : left + ink.shape[1]] |= (ink > 0.5).astype(np.uint8)
    return left / width, top / height, (left + ink.shape[1]) / width, (top + ink.shape[0]) / height


def render(scene: Scene, height: int, width: int, *, shot: int = 0) -> tuple[Rgb, Labels]:
    """Draw a scene: uint8 [height, width, 3], and what each cell shows.

    `shot` varies only what varies between pictures of one camera (noise), not the scene's style.
    """
    style = np.random.default_rng(scene.style_seed)
    picture = np.ascontiguousarray(_background(height, width, style).astype(np.uint8))
    kinds, colours = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    for thing in scene.things:
        tilt, mirror = float(style.normal(0, 0.12)), bool(style.random() < 0.5)
        colour = np.clip(np.array(_RGB[thing.colour]) + style.normal(0, 11, 3), 0, 255)
        shade = colour * 0.72 if thing.colour != "black" else colour + 45
        gap = np.array(_BACKGROUNDS[style.integers(len(_BACKGROUNDS))], np.float64)
        for polygon, paint in _parts(thing.kind):
            points = _points(polygon, thing, height, width, tilt, mirror)
            value = {"own": colour, "shade": shade, "gap": gap}[paint]
            cv2.fillPoly(picture, [points], [float(v) for v in value], cv2.LINE_AA, 4)
            cv2.fillPoly(kinds, [points], words.OBJECTS.index(thing.kind) + 1, cv2.LINE_8, 4)
            cv2.fillPoly(colours, [points], words.COLOURS.index(thing.colour) + 1, cv2.LINE_8, 4)
    shown = picture.astype(np.float32)
    figure = (kinds > 0).astype(np.uint8)
    box = _draw_word(shown, figure, scene, style) if scene.word else None
    camera = np.random.default_rng(scene.style_seed + 7919 * (shot + 1))
    shown = _expose(shown, scene, style, camera)
    return np.clip(shown, 0, 255).astype(np.uint8), _labels(scene, kinds, colours, figure, box)


@cache
def _grain() -> npt.NDArray[np.float32]:
    """A bank of normal noise; drawing it anew for each picture would take longer than the rest."""
    return np.random.default_rng(0).standard_normal(1 << 20, np.float32)


def _expose(picture: Any, scene: Scene, style: np.random.Generator, camera: np.random.Generator) -> Any:
    width = picture.shape[1]
    slope = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] * np.float32(style.uniform(-0.18, 0.18))
    gain = style.uniform(0.72, 1.12)
    if scene.light == DARK:
        gain = style.uniform(0.02, 0.13)
    blur = style.uniform(0, 0.9)
    if scene.blurred:
        blur = style.uniform(9, 16)
    picture *= np.float32(gain) * (1 + slope)
    if blur > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    start = int(camera.integers(len(_grain()) - picture.size))
    picture += _grain()[start : start + picture.size].reshape(picture.shape) * np.float32(camera.uniform(0.5, 5))
    return picture


def _cells(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The most frequent label of each cell; -100 where it covers between 8 and 22 %."""
    rows, columns = mask.shape[0] // CELL, mask.shape[1] // CELL
    cells = mask.reshape(rows, CELL, columns, CELL).transpose(0, 2, 1, 3).reshape(rows * columns, -1)
    out = np.zeros(rows * columns, np.int64)
    for number in np.flatnonzero(cells.max(1)):
        cell = cells[number]
        counts = np.bincount(cell)
        if len(counts) > 1:
            best = int(counts[1:].argmax()) + 1
            share = counts[best] / cell.size
            out[number] = best if share > 0.22 else -100 if share > 0.08 else 0
    return out.reshape(rows, columns)


def _squares(figure: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Which squares of 4 x 4 pixels are covered by half or more: [rows, columns, 64]."""
    rows, columns, side = figure.shape[0] // CELL, figure.shape[1] // CELL, CELL // 8
    parts = figure.reshape(rows, 8, side, columns, 8, side).sum((2, 5), dtype=np.int32)  # [rows, 8, columns, 8]
    covered: npt.NDArray[np.uint8] = (parts * 2 >= side * side).astype(np.uint8)
    return covered.transpose(0, 2, 1, 3).reshape(rows, columns, 64)


def _labels(
    scene: Scene, kinds: Any, colours: Any, figure: npt.NDArray[np.uint8], box: tuple[float, float, float, float] | None
) -> Labels:
    rows, columns = kinds.shape[0] // CELL, kinds.shape[1] // CELL
    letters = np.zeros((rows, columns), np.int64)
    orders = np.full((rows, columns), -100)
    centres = np.zeros((rows, columns), np.int64)
    if not scene.seen:
        nothing = np.zeros_like(letters)
        return Labels(nothing, nothing, letters, orders, centres, np.zeros((rows, columns, 64), np.uint8))
    for thing in scene.things:
        centres[min(rows - 1, int(thing.y * rows)), min(columns - 1, int(thing.x * columns))] = 1
    if box is not None:
        left, top, right, bottom = box
        for row in range(rows):
            if not top - 0.01 < (row + 0.5) / rows < bottom + 0.01 and row != int((top + bottom) / 2 * rows):
                continue
            for column in range(columns):
                at = ((column + 0.5) / columns - left) / (right - left) * len(scene.word)
                if 0 <= at < len(scene.word):
                    letters[row, column] = ord(scene.word[int(at)]) - ord("A") + 1
                    orders[row, column] = int(at)
    return Labels(_cells(kinds), _cells(colours), letters, orders, centres, _squares(figure))
