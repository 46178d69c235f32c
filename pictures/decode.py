"""Bytes of a picture file to RGB as a person would see it: upright, see-through parts on a paper that shows them.

Pillow reads all kinds; pi-heif adds HEIC, also in tiles. A picture that is cut short is refused, not shown grey.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pictures.kinds import HEAD_BYTES, PICTURES, VIDEOS, kind_of

Rgb = NDArray[np.uint8]  # [H, W, 3]

MAX_PIXELS = 80_000_000
"""Larger pictures are refused: in memory they take three bytes a pixel, and more while they are unpacked."""
REMEDY = "Use a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF picture."
_FULL = 255
_OPENING = threading.Lock()


class PictureError(ValueError):
    """Bytes that are no picture we can show. `message` goes on after the picture's name ("is damaged: …")."""

    def __init__(self, message: str, remedy: str = REMEDY) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Rgb:
    """RGB uint8 [H, W, 3]; of an animation, the first picture. Raises PictureError."""
    kind = kind_of(data[:HEAD_BYTES])
    if not data:
        raise PictureError("is empty: it has no bytes in it.", "Copy or save it again.")
    if kind in VIDEOS:
        raise PictureError(f"is a video ({kind}), not a picture.", "Open it as a video.")
    if kind not in PICTURES:
        raise PictureError(f"is {kind}, not a picture that can be shown." if kind else "is not a picture file.")
    if kind == "HEIC":
        _learn_heic()
    try:
        # Pillow warns of odd metadata on the way; whether the picture can be shown is all that counts here.
        with warnings.catch_warnings(action="ignore"), _opened(data) as image:
            width, height = image.size
            if not 0 < width * height <= max_pixels:
                raise PictureError(
                    f"has {width}x{height} pixels; at most {max_pixels // 1_000_000} million are taken.",
                    "Make it smaller.",
                )
            image.load()
            return _upright(image)
    except PictureError:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, RuntimeError, EOFError, struct.error) as error:
        detail = "only part of it is there" if "truncated" in str(error) else f"{error}".rstrip(".")
        raise PictureError(f"is a damaged {kind} picture: {detail}.", "Copy or save it again.") from error


def _opened(data: bytes) -> Image.Image:
    """The header alone. Our own limit stands for Pillow's, which does not say how large the picture is."""
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(data))
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _learn_heic() -> None:
    """Registers pi-heif, once; registering again does nothing."""
    try:
        from pi_heif import register_heif_opener
    except ImportError as error:
        raise PictureError(
            "is a HEIC picture, for which the package pi-heif is missing.", "Run: pip install pi-heif"
        ) from error
    register_heif_opener(thumbnails=False)


def _upright(image: Image.Image) -> Rgb:
    """Turned as its EXIF says, without see-through parts, in 8 bits."""
    turned = ImageOps.exif_transpose(image)
    if turned.mode in ("I", "F") or turned.mode.startswith("I;"):
        return _from_grey(np.asarray(turned))
    if turned.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in turned.info:
        return _on_paper(np.asarray(turned.convert("RGBA")))
    return np.ascontiguousarray(np.asarray(turned.convert("RGB")))


def _from_grey(values: NDArray[np.generic]) -> Rgb:
    """Grey of 16 or 32 bits, or of floats: the range it uses is what shows."""
    grey = np.nan_to_num(values.astype(np.float64))
    top = float(grey.max(initial=0.0))
    full = 1.0 if values.dtype.kind == "f" and top <= 1 else float(_FULL) if top <= _FULL else max(65535.0, top)
    level = (grey.clip(0, None) * (_FULL / full)).round().astype(np.uint8)
    return np.repeat(level[:, :, None], 3, axis=2)


def _on_paper(rgba: NDArray[np.uint8]) -> Rgb:
    """Over white, or over black when what is drawn is light itself: dark letters on nothing want white paper."""
    alpha = rgba[:, :, 3:].astype(np.float32) / _FULL  # [H, W, 1]
    colour = rgba[:, :, :3].astype(np.float32)
    drawn = float(alpha.sum())
    luma = (
        float((colour @ np.array([0.299, 0.587, 0.114], np.float32) * alpha[:, :, 0]).sum()) / drawn if drawn else 0.0
    )
    paper = 0.0 if luma > 160 and float(alpha.mean()) < 0.98 else float(_FULL)
    made: Rgb = (colour * alpha + paper * (1 - alpha)).round().astype(np.uint8)
    return made
