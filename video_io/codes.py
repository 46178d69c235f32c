"""Bar and QR codes in a picture, in words. What a code says is told, never opened or run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from video_io.frames import Rgb

LONGEST = 400
"""Letters of a code's text that are told."""
NOTHING = "There is no code in the picture that can be read. Hold it flat before the camera, or move closer."
MISSING = "Reading codes needs the package zxing-cpp, which is not installed. Run: pip install zxing-cpp"


@dataclass(frozen=True, slots=True)
class Code:
    """One code: what kind it is ("QR code", "EAN-13 bar code"), its text, and its box in shares of the picture."""

    kind: str
    text: str
    box: tuple[float, float, float, float]


def find_codes(rgb: Rgb, *, also_unreadable: bool = False) -> list[Code]:
    """All codes in a picture [H, W, 3], from the top left on. Raises ImportError where the reader is missing.

    `also_unreadable`: QR codes too whose place is found and whose text is not; it is "".
    """
    import zxingcpp

    height, width = rgb.shape[:2]
    ones = zxingcpp.read_barcodes(np.ascontiguousarray(rgb), return_errors=also_unreadable)
    # Of what cannot be read only QR codes are believed: their three corners are hard to mistake. Drawings without any
    # code gave DataMatrix codes (2 of 80).
    found = [_code(one, width, height) for one in ones if one.valid or "QR" in str(one.format).upper()]
    return sorted(found, key=lambda code: (round(code.box[1], 1), code.box[0]))


def tell_codes(rgb: Rgb) -> str:
    """The codes of a picture in words for the ear."""
    try:
        return describe(find_codes(rgb))
    except ImportError:
        return MISSING


def describe(codes: Sequence[Code]) -> str:
    if not codes:
        return NOTHING
    told = [f"{code.kind}: {_meaning(code.text)}" for code in codes]
    return told[0] if len(told) == 1 else f"{len(told)} codes. " + " ".join(told)


def _code(one: Any, width: int, height: int) -> Code:
    name = str(one.format).rsplit(".", 1)[-1].replace(" ", "")
    if "QR" in name.upper():
        kind = "QR code"
    elif name in ("DataMatrix", "Aztec", "PDF417", "MaxiCode"):
        kind = f"{name} code"
    else:
        pretty = name if "-" in name else name.replace("EAN", "EAN-").replace("UPC", "UPC-").replace("Code", "Code ")
        kind = f"{pretty} bar code"
    corners = [getattr(one.position, corner) for corner in ("top_left", "top_right", "bottom_right", "bottom_left")]
    xs, ys = [corner.x / width for corner in corners], [corner.y / height for corner in corners]
    return Code(kind, str(one.text) if one.valid else "", (min(xs), min(ys), max(xs), max(ys)))


def _meaning(text: str) -> str:
    """What the text of a code is, with the part that matters first."""
    text = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    lower = text.lower()
    if lower.startswith(("http://", "https://")):
        return f"a web address at {urlsplit(text).hostname or 'no host'}: {_short(text)}"
    if lower.startswith("wifi:"):
        parts = _fields(text[5:])
        password = f", password {parts['P']}" if parts.get("P") else ", without a password"
        return f"access to the wireless network {parts.get('S', 'without a name')}{password}."
    if lower.startswith("tel:"):
        return f"a telephone number: {_short(text[4:])}."
    if lower.startswith("mailto:"):
        return f"a mail address: {_short(unquote(text[7:].split('?')[0]))}."
    if lower.startswith("begin:vcard"):
        return f"a visiting card: {_short(text[11:].split('END:VCARD')[0].strip())}."
    return f"{_short(text)}." if text else "an empty one."


def _fields(text: str) -> dict[str, str]:
    """`T:WPA;S:name;P:word;;` with backslashes before `;`, `:`, `,` and themselves."""
    fields, part, escaped = {}, "", False
    for letter in text:
        if escaped or letter not in "\\;":
            part, escaped = part + letter, False
        elif letter == "\\":
            escaped = True
        else:
            name, _, value = part.partition(":")
            if name:
                fields[name.upper()] = value
            part = ""
    return fields


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … and {len(text) - LONGEST} more letters"
