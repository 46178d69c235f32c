"""The colour in the middle of a picture, in plain words."""

from __future__ import annotations

from collections import Counter

from video_io.frames import Rgb
from video_io.opencv import shrink

MIDDLE_SHARE = 0.2
"""Side of the square that is looked at, as a share of the picture's shorter side."""
SAMPLES = 24  # a side
MOST, SOME = 0.55, 0.2
"""Shares from which a colour is the colour, and from which another is worth saying."""

_HUES = (
    (12, "red"),
    (40, "orange"),
    (68, "yellow"),
    (162, "green"),
    (192, "turquoise"),
    (255, "blue"),
    (290, "purple"),
    (345, "pink"),
    (361, "red"),
)
"""Names by hue, up to these degrees."""


def tell_colour(rgb: Rgb) -> str:
    """One sentence. Light changes colours: under a warm lamp, white looks yellowish, and is called so."""
    height, width = rgb.shape[:2]
    side = max(1, round(min(height, width) * MIDDLE_SHARE))
    top, left = (height - side) // 2, (width - side) // 2
    patch = shrink(rgb[top : top + side, left : left + side], min(side, SAMPLES), min(side, SAMPLES)).reshape(-1, 3)
    if float(patch.max()) < 18:
        return "It is too dark to tell the colour."
    names = Counter(name_of(int(red), int(green), int(blue)) for red, green, blue in patch)
    common = [(name, count / len(patch)) for name, count in names.most_common(4)]
    first, share = common[0]
    others = [name for name, part in common[1:] if part >= SOME]
    if share >= MOST:
        return f"In the middle: {first}{', with some ' + others[0] if others else ''}."
    mixed = [name for name, part in common if part >= SOME / 2]
    if len(mixed) == 1:
        return f"In the middle: mostly {first}, and other colours."
    return f"In the middle: {', '.join(mixed[:-1])} and {mixed[-1]}."


def name_of(red: int, green: int, blue: int) -> str:
    """The plain name of one colour, 0..255 each."""
    high, low = max(red, green, blue), min(red, green, blue)
    light, chroma = (high + low) / 2, high - low
    saturation = chroma / high if high else 0.0
    if high < 40:
        return "black"
    if chroma < 18 or saturation < 0.12:
        return _grey(light)
    hue = _hue(red, green, blue)
    if saturation < 0.3 and light > 170 and 20 <= hue <= 68:
        return "beige"
    if 12 <= hue < 45 and high < 175:
        return "dark brown" if high < 85 else "brown"
    if 45 <= hue < 68 and high < 150:
        return "olive"
    name = next(name for limit, name in _HUES if hue < limit)
    if name == "red" and saturation < 0.55 and high > 180:
        return "pink"
    if saturation < 0.2:
        return f"greyish {name}"
    if high < 110:
        return f"dark {name}"
    if saturation < 0.5 and light > 150 and name != "pink":
        return f"light {name}"
    return name


def _grey(light: float) -> str:
    for limit, name in ((45, "black"), (95, "dark grey"), (160, "grey"), (212, "light grey")):
        if light < limit:
            return name
    return "white"


def _hue(red: int, green: int, blue: int) -> float:
    """Degrees 0..360."""
    high, low = max(red, green, blue), min(red, green, blue)
    chroma = high - low
    if high == red:
        return float((60 * (green - blue) / chroma) % 360)
    if high == green:
        return 60 * (blue - red) / chroma + 120
    return 60 * (red - green) / chroma + 240
