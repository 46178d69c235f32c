"""What a file is, told by its first bytes; its name is not asked."""

from __future__ import annotations

HEAD_BYTES = 4096
"""So much of a file's beginning is enough to tell."""

PICTURES = frozenset({"JPEG", "PNG", "GIF", "WebP", "BMP", "TIFF", "HEIC", "AVIF"})
"""Kinds that `pictures.decode` reads."""
VIDEOS = frozenset({"MP4", "Matroska", "AVI", "MPEG"})

_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))


def kind_of(head: bytes) -> str:
    """A name from `PICTURES` or `VIDEOS`, another name for people ("a PDF document"), or "" where nothing is known."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return "TIFF"
    if head.startswith(b"BM") and len(head) > 14:
        return "BMP"
    if head.startswith(b"RIFF"):
        return {b"WEBP": "WebP", b"AVI ": "AVI", b"WAVE": "a sound file"}.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "Matroska"
    if head.startswith((b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")) or (head[:1] == b"G" and head[188:189] == b"G"):
        return "MPEG"
    return _foreign(head)


def _iso_media(head: bytes) -> str:
    """MP4, HEIC and AVIF are boxes of one standard; the brands say which (ISO/IEC 14496-12, section 4.3)."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIC"
    return "MP4"


def _foreign(head: bytes) -> str:
    """Names for what people may take for a picture."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if head.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")):
        return "a JPEG XL picture"
    if head.startswith(b"\x00\x00\x00\x0cjP  "):
        return "a JPEG 2000 picture"
    if head.startswith(b"8BPS"):
        return "a Photoshop document"
    if start.startswith(b"%pdf"):
        return "a PDF document"
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in head):
        return "an SVG drawing"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP archive or an office document"
    if head.startswith((b"ID3", b"OggS", b"fLaC")):
        return "a sound file"
    if head and all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head[:200]):
        return "a text file"
    return ""
