"""Pictures from the wire: size read from the header first, so that a small message cannot ask for gigabytes."""

from __future__ import annotations

import struct

import cv2
import numpy as np

from model.realtime.client_events import WireError
from model.realtime.contract import Rgb

MAX_PIXELS = 16_000_000
"""Larger pictures are refused; the model looks at about one megapixel."""

MAX_PICTURE_BYTES = 8 * 2**20

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG_NOT_FRAME_HEADERS = {0xC4, 0xC8, 0xCC}
"""Markers between SOF0 and SOF15 that are tables, not frame headers (ITU T.81, table B.1)."""


def decode_picture(data: bytes, param: str) -> Rgb:
    """RGB [H, W, 3] of a JPEG or PNG; raises `WireError` naming `param`."""
    if len(data) > MAX_PICTURE_BYTES:
        raise WireError(
            "image_too_large",
            f"{param}: {len(data)} bytes; at most {MAX_PICTURE_BYTES} are taken. Scale it down.",
            param,
        )
    size = picture_size(data)
    if size is None:
        raise WireError("invalid_image", f"{param}: neither a JPEG nor a PNG with a readable header.", param)
    width, height = size
    if not 0 < width * height <= MAX_PIXELS:
        raise WireError(
            "invalid_image",
            f"{param}: {width}x{height} pixels; from 1 to {MAX_PIXELS} are taken. Scale it down.",
            param,
        )
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise WireError("invalid_image", f"{param}: cannot be decoded: {error}.", param) from None
    if bgr is None:
        raise WireError("invalid_image", f"{param}: a damaged picture that cannot be decoded.", param)
    return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)


def picture_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from a JPEG's or PNG's header, None when there is none."""
    if data.startswith(_PNG_MAGIC):
        if len(data) < 24 or data[12:16] != b"IHDR":
            return None
        width, height = struct.unpack_from(">II", data, 16)
        return int(width), int(height)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in _JPEG_NOT_FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return int(width), int(height)
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a length
            position += 2
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if length < 2:
            return None
        position += 2 + length
    return None
