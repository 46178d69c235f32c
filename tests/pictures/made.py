"""Picture files made by script, each with what it must look like."""

from __future__ import annotations

import io
import struct
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageDraw

RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 160, 40), (30, 60, 200), (240, 240, 240)
CORNERS = (RED, GREEN, BLUE, WHITE)
"""Top left, top right, bottom left, bottom right."""


def quarters(width: int = 128, height: int = 96) -> Image.Image:
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    for place, colour in enumerate(CORNERS):
        x, y = place % 2 * width // 2, place // 2 * height // 2
        draw.rectangle((x, y, x + width // 2, y + height // 2), fill=colour)
    return image


def corners_of(rgb: np.ndarray) -> list[tuple[int, int, int]]:  # type: ignore[type-arg]
    height, width = rgb.shape[:2]
    places = [(h, w) for h in (height // 4, 3 * height // 4) for w in (width // 4, 3 * width // 4)]
    return [tuple(int(value) for value in rgb[place]) for place in places]  # type: ignore[misc]


def near(one: Sequence[Sequence[int]], other: Sequence[Sequence[int]], by: int = 24) -> bool:
    return all(
        abs(a - b) <= by for first, second in zip(one, other, strict=True) for a, b in zip(first, second, strict=True)
    )


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def turned_jpeg(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(quarters(), "JPEG", exif=exif.tobytes(), quality=95)


def see_through(ink: int) -> bytes:
    """Letters of this brightness on nothing, as logos and signatures are stored."""
    rgba = np.zeros((80, 200, 4), np.uint8)
    rgba[:, :, :3] = ink
    rgba[30:50, 20:180:8, 3] = 255
    return encoded(Image.fromarray(rgba, "RGBA"), "PNG")


# --- HEIC in tiles ----------------------------------------------------------------------------------------------------


def tiled_heic(side: int = 64) -> bytes:
    """A 2 x 2 grid of HEVC tiles, one colour each, as telephones write photographs (ISO/IEC 23008-12, 6.6.2.3)."""
    config, tiles = b"", []
    for colour in CORNERS:
        data = io.BytesIO()
        pillow_heif.from_pillow(Image.new("RGB", (side, side), colour)).save(data, quality=90)
        config, tile = _hevc_item(data.getvalue())
        tiles.append(tile)
    grid = bytes((0, 0, 1, 1)) + struct.pack(">HH", 2 * side, 2 * side)
    items = [grid, *tiles]
    entries = [_full(b"infe", 2, 0, struct.pack(">HH", 1, 0) + b"grid\0")]
    entries += [_full(b"infe", 2, 0, struct.pack(">HH", n, 0) + b"hvc1\0") for n in range(2, 6)]
    shape = [_full(b"ispe", 0, 0, struct.pack(">II", size, size)) for size in (side, 2 * side)]
    links = b"".join(struct.pack(">HBB", n, 2, 0x81) + b"\x02" for n in range(2, 6))
    head = _full(b"hdlr", 0, 0, bytes(4) + b"pict" + bytes(13)) + _full(b"pitm", 0, 0, struct.pack(">H", 1))
    head += _full(b"iinf", 0, 0, struct.pack(">H", 5) + b"".join(entries))
    head += _full(b"iref", 0, 0, _box(b"dimg", struct.pack(">HH4H", 1, 4, 2, 3, 4, 5)))
    associations = struct.pack(">I", 5) + struct.pack(">HBB", 1, 1, 0x03) + links
    head += _box(b"iprp", _box(b"ipco", config + shape[0] + shape[1]) + _full(b"ipma", 0, 0, associations))
    kind = _box(b"ftyp", b"heic\0\0\0\0mif1heic")
    place = len(kind) + len(_full(b"meta", 0, 0, head + _places(items, 0))) + 8
    return kind + _full(b"meta", 0, 0, head + _places(items, place)) + _box(b"mdat", b"".join(items))


def _places(items: Sequence[bytes], start: int) -> bytes:
    listed = struct.pack(">BBH", 0x44, 0, len(items))
    for number, item in enumerate(items, 1):
        listed += struct.pack(">HHHII", number, 0, 1, start, len(item))
        start += len(item)
    return _full(b"iloc", 0, 0, listed)


def _hevc_item(data: bytes) -> tuple[bytes, bytes]:
    """(hvcC box, coded picture) of a HEIC file with one picture."""
    at = data.index(b"hvcC") - 4
    config = data[at : at + int.from_bytes(data[at : at + 4], "big")]
    at = data.index(b"mdat") - 4
    return config, data[at + 8 : at + int.from_bytes(data[at : at + 4], "big")]


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + name + body


def _full(name: bytes, version: int, flags: int, body: bytes) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags) + body)


# --- videos -----------------------------------------------------------------------------------------------------------


def video(path: Path, *, coding: str = "libx264", pixel: Fraction = Fraction(1), times_ms: Sequence[int] = ()) -> Path:
    """Grey pictures 40, 80, 120 …, at `times_ms` (or 25 a second). Needs the program ffmpeg."""
    n = len(times_ms) or 10
    frames = b"".join(bytes([40 + 20 * number]) * (128 * 96 * 3) for number in range(n))
    filters = [f"setsar={pixel.numerator}/{pixel.denominator}"]
    rate = []
    if times_ms:
        choice = "0"
        for number, time_ms in enumerate(times_ms):
            choice = f"if(eq(N\\,{number})\\,{time_ms}/1000/TB\\,{choice})"
        filters += ["settb=1/1000", f"setpts='{choice}'"]
        rate = ["-fps_mode", "passthrough", "-enc_time_base", "1/1000"]
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "128x96", "-r", "25", "-i", "-"]
    command = ["ffmpeg", "-v", "error", "-y", *source, "-vf", ",".join(filters), *rate]
    subprocess.run([*command, "-c:v", coding, "-pix_fmt", "yuv420p", str(path)], input=frames, check=True, timeout=120)
    return path
