"""Colours can be read: WCAG contrast of every pair of text and ground."""

from __future__ import annotations

import pytest

from app.ui.theme import DARK, HIGH_CONTRAST, LIGHT, Theme
from app.view import Phase


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance."""

    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("theme", "least"), [(LIGHT, 4.5), (DARK, 4.5), (HIGH_CONTRAST, 7.0)])
def test_contrast(theme: Theme, least: float) -> None:
    pairs = [
        (theme.text, theme.ground),
        (theme.text, theme.surface),
        (theme.muted, theme.ground),
        (theme.muted, theme.surface),
        (theme.accent, theme.surface),
        (theme.on_accent, theme.accent),
        (theme.on_warning, theme.warning),
        (theme.on_warning, theme.surface),  # the mark of a cut reply
        (theme.on_remote, theme.remote),
        *((colour, theme.surface) for colour in theme.phases.values()),
    ]
    weak = [(a, b, round(contrast(a, b), 2)) for a, b in pairs if contrast(a, b) < least]
    assert weak == []
    assert set(theme.phases) == set(Phase)
