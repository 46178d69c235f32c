"""Pictures from the wire: a small message cannot ask for gigabytes; what cannot be shown is refused by its cause."""

from __future__ import annotations

from model.realtime.client_events import WireError
from model.realtime.contract import Rgb
from pictures.decode import PictureError, decode

MAX_PIXELS = 16_000_000
"""Larger pictures are refused; the model looks at about one megapixel."""

MAX_PICTURE_BYTES = 8 * 2**20


def decode_picture(data: bytes, param: str) -> Rgb:
    """RGB [H, W, 3] of a picture of any kind that `pictures` reads; raises `WireError` naming `param`."""
    if len(data) > MAX_PICTURE_BYTES:
        raise WireError(
            "image_too_large",
            f"{param}: {len(data)} bytes; at most {MAX_PICTURE_BYTES} are taken. Scale it down.",
            param,
        )
    try:
        return decode(data, max_pixels=MAX_PIXELS)
    except PictureError as error:
        raise WireError("invalid_image", f"{param}: it {error.message} {error.remedy}", param) from None
