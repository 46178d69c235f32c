"""Sizes and bytes for the wire and the preview."""

from __future__ import annotations

import math

from video_io.frames import Rgb
from video_io.opencv import shrink

MAX_PIXELS = 768 * 768  # what a picture may cost at most; the engine's own processor makes patches of it
JPEG_QUALITY = 90  # 85 and less smears small print


def fit_pixels(rgb: Rgb, max_pixels: int = MAX_PIXELS) -> Rgb:
    """The picture with at most `max_pixels` pixels, its shape kept; smaller ones are returned as they are."""
    if max_pixels < 1:
        raise ValueError(f"max_pixels must be at least 1, not {max_pixels}")
    height, width = rgb.shape[:2]
    if height * width <= max_pixels:
        return rgb
    scale = math.sqrt(max_pixels / (height * width))
    small_height = min(max(1, int(height * scale)), max_pixels)
    small_width = min(max(1, int(width * scale)), max_pixels // small_height)
    return shrink(rgb, small_width, small_height)


def to_jpeg(rgb: Rgb, *, max_pixels: int = MAX_PIXELS, quality: int = JPEG_QUALITY) -> bytes:
    """The bytes that go to the engine, at most `max_pixels` large."""
    import cv2

    bgr = cv2.cvtColor(fit_pixels(rgb, max_pixels), cv2.COLOR_RGB2BGR)
    good, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        raise ValueError(f"a picture of {rgb.shape[1]} x {rgb.shape[0]} cannot be written as JPEG")
    return data.tobytes()
