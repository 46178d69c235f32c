"""Icons from assets/icons, drawn in the theme's colours and sharp at every size."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer


@lru_cache(maxsize=64)
def _source(name: str) -> str:
    return (resources.files("assets") / "icons" / f"{name}.svg").read_text(encoding="utf-8")


@lru_cache(maxsize=256)
def pixmap(name: str, colour: str, size_px: int, pixel_ratio: float = 1.0) -> QPixmap:
    """An icon as a square of `size_px` device-independent pixels. Raises FileNotFoundError for an unknown name."""
    side = round(size_px * pixel_ratio)
    image = QPixmap(QSize(side, side))
    image.fill(Qt.GlobalColor.transparent)
    renderer = QSvgRenderer(QByteArray(_source(name).replace("currentColor", QColor(colour).name()).encode()))
    painter = QPainter(image)
    renderer.render(painter, QRectF(0, 0, side, side))
    painter.end()
    image.setDevicePixelRatio(pixel_ratio)
    return image


def icon(name: str, colour: str, on_colour: str | None = None) -> QIcon:
    """An icon for a button; `on_colour` is used while the button is down or checked."""
    made = QIcon()
    for size_px in (20, 40):
        made.addPixmap(pixmap(name, colour, size_px))
        if on_colour is not None:
            made.addPixmap(pixmap(name, on_colour, size_px), QIcon.Mode.Normal, QIcon.State.On)
    return made
