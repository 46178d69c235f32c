"""What a picture shows, before it is drawn: things with colours, sizes and places, light, blur, a word, a movement.

Places are fractions of width and height. Things keep away from the borders between left, middle and right (and top,
middle and bottom), so that every place has one name.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from training.domain import words

LIGHT, DARK = "light", "dark"
# Pictures as cameras give them, already at the size the processor makes of them (multiples of 32): height, width.
PICTURE_SIZES = ((192, 256), (192, 256), (192, 256), (192, 192), (160, 288))
_LOW_BORDER, _HIGH_BORDER = (0.34, 0.40), (0.60, 0.66)
MOVES = ("left", "right", "closer", "away", "light on", "light off", "appears", "nothing")


@dataclass(frozen=True)
class Thing:
    """One thing: `size` is its height as a fraction of the picture's shorter side; x and y are its centre."""

    kind: str
    colour: str
    x: float
    y: float
    size: float

    @property
    def name(self) -> str:
        return f"{self.colour} {self.kind}"


@dataclass(frozen=True)
class Scene:
    """Everything that is true of one picture. `word` is printed with its centre at `word_at`."""

    things: tuple[Thing, ...]
    light: str = LIGHT
    blurred: bool = False
    word: str = ""
    word_at: tuple[float, float] = (0.5, 0.5)
    aspect: float = 4 / 3
    style_seed: int = 0

    @property
    def seen(self) -> bool:
        """Whether there is light and focus enough to see anything."""
        return self.light == LIGHT and not self.blurred


@dataclass(frozen=True)
class Clip:
    """Scenes one after the other, and what happens in them (one of MOVES, with the thing it happens to)."""

    scenes: tuple[Scene, ...]
    move: str
    thing: Thing | None = None


def third(value: float) -> int:
    """0, 1 or 2: which third of the picture a coordinate names."""
    return 0 if value < _LOW_BORDER[1] - 0.03 else 2 if value > _HIGH_BORDER[0] + 0.03 else 1


def _clear(value: float) -> bool:
    return not any(low < value < high for low, high in (_LOW_BORDER, _HIGH_BORDER))


def place_name(thing: Thing) -> str:
    """Where a thing is, in words."""
    column, row = third(thing.x), third(thing.y)
    if row == 1:
        return ("on the left", "in the middle", "on the right")[column]
    vertical = "at the top" if row == 0 else "at the bottom"
    return vertical + (" left", "", " right")[column]


def clock_hour(thing: Thing, aspect: float) -> int | None:
    """The hour of a thing on a clock face over the picture; 0 in the middle, None between two hours."""
    dx, dy = (thing.x - 0.5) * aspect, thing.y - 0.5
    if third(thing.x) == 1 and third(thing.y) == 1:
        return 0
    hours = (math.degrees(math.atan2(dx, -dy)) % 360) / 30
    nearest = round(hours)
    if abs(hours - nearest) > 0.36:
        return None
    return nearest % 12 or 12


def _try_place(thing: Thing, others: list[Thing], aspect: float, rng: random.Random) -> Thing | None:
    half = thing.size / 2
    for _ in range(40):
        x, y = rng.uniform(half / aspect + 0.02, 0.98 - half / aspect), rng.uniform(half + 0.02, 0.98 - half)
        if not (_clear(x) and _clear(y)):
            continue
        apart = all(
            math.hypot((x - other.x) * aspect, y - other.y) > 0.56 * (thing.size + other.size) for other in others
        )
        if apart and all(abs(x - other.x) > 0.04 for other in others):
            return replace(thing, x=x, y=y)
    return None


def place(wanted: list[tuple[str, str]], rng: random.Random, aspect: float) -> tuple[Thing, ...] | None:
    """Things of the wanted kinds and colours at free places; None when they do not fit."""
    largest = 0.62 if len(wanted) <= 1 else 0.48 if len(wanted) == 2 else 0.36
    smallest = 0.26 if len(wanted) <= 3 else 0.24
    placed: list[Thing] = []
    for kind, colour in wanted:
        found = _try_place(Thing(kind, colour, 0.5, 0.5, rng.uniform(smallest, largest)), placed, aspect, rng)
        if found is None:
            return None
        placed.append(found)
    return tuple(placed)


def draw_pair(rng: random.Random) -> tuple[str, str]:
    """A random kind and colour."""
    return rng.choice(words.OBJECTS), rng.choice(words.COLOURS)


def make_scene(wanted: list[tuple[str, str]], rng: random.Random, word: str = "") -> Scene:
    """A well lit and sharp scene with these things; with a word there is room for at most one thing."""
    height, width = rng.choice(PICTURE_SIZES)
    aspect = width / height
    while True:
        things = place(wanted, rng, aspect)
        if things is not None:
            break
        wanted = wanted if rng.random() < 0.9 else wanted[:-1]
    at = (rng.uniform(0.42, 0.58), rng.uniform(0.35, 0.65))
    if word and things:  # the thing goes below or above the word
        size = rng.uniform(0.24, 0.32)
        y = rng.choice((0.2, 0.8))
        things = (replace(things[0], size=size, y=y),)
        at = (at[0], 0.66 if y < 0.5 else 0.3)
    return Scene(things, word=word, word_at=at, aspect=aspect, style_seed=rng.randrange(1 << 30))


def make_clip(rng: random.Random, n_pictures: int = 3) -> Clip:
    """A short clip in which one of MOVES happens."""
    move = rng.choice(MOVES)
    base = make_scene([draw_pair(rng)], rng)
    kind, colour = draw_pair(rng)
    steps = [number / (n_pictures - 1) for number in range(n_pictures)]
    if move in ("left", "right"):
        low, high = rng.uniform(0.18, 0.32), rng.uniform(0.68, 0.82)
        start, end = (low, high) if move == "right" else (high, low)
        thing = Thing(kind, colour, start, rng.choice((0.3, 0.5, 0.7)), rng.uniform(0.28, 0.42))
        scenes = [replace(base, things=(replace(thing, x=start + (end - start) * at),)) for at in steps]
        return Clip(tuple(scenes), move, thing)
    if move in ("closer", "away"):
        small, large = rng.uniform(0.2, 0.28), rng.uniform(0.6, 0.75)
        start, end = (small, large) if move == "closer" else (large, small)
        thing = Thing(kind, colour, rng.uniform(0.45, 0.55), rng.uniform(0.45, 0.55), start)
        scenes = [replace(base, things=(replace(thing, size=start + (end - start) * at),)) for at in steps]
        return Clip(tuple(scenes), move, thing)
    if move.startswith("light"):
        lights = (DARK, LIGHT) if move == "light on" else (LIGHT, DARK)
        scenes = [replace(base, light=lights[int(at > 0.5)]) for at in steps]
        return Clip(tuple(scenes), move)
    if move == "appears":
        thing = base.things[0] if base.things else Thing(kind, colour, 0.5, 0.5, 0.4)
        scenes = [replace(base, things=(thing,) if at > 0.6 else ()) for at in steps]
        return Clip(tuple(scenes), move, thing)
    return Clip((base,) * n_pictures, move)
