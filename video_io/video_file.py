"""One video file, picture by picture, each with its own time and its own shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pictures.kinds import HEAD_BYTES, VIDEOS, kind_of
from video_io.frames import Rgb, SourceError, SourceEventKind
from video_io.opencv import from_bgr, quiet_capture

USUAL_RATE_HZ = 25.0  # of files that do not say; some say 0 or 90000
SEARCHED_BYTES = 4 * 2**20  # at both ends of a file, for the name of what it is coded in

_CODINGS = (
    (("av01", "V_AV1", "AV01"), "AV1"),
    (("vvc1", "vvi1", "V_MPEGI"), "VVC (H.266)"),
    (("hvc1", "hev1", "V_MPEGH", "dvh1"), "HEVC (H.265)"),
    (("vp09", "V_VP9"), "VP9"),
    (("apch", "apcn", "apcs", "apco", "ap4h"), "ProRes"),
    (("avc1", "avc3", "V_MPEG4/ISO/AVC"), "H.264"),
)
"""Marks of codings in MP4, Matroska and AVI files."""


class VideoFile:
    """Pictures in order: `advance` reads the next one, `at_s` is its time from the first one on, `picture` makes it.

    Variable rates: `at_s` is each picture's own time. Pixels that are not square are made square. One thread.
    Raises SourceError(MISSING) with the true cause for what cannot be played.
    """

    def __init__(self, path: Path) -> None:
        import cv2

        if not path.is_file():
            raise SourceError(SourceEventKind.MISSING, f"There is no video {path}.", "Choose another file.")
        self._path = path
        self._capture: Any = quiet_capture(str(path))
        if not self._capture.isOpened():
            self._capture.release()
            raise why_not(path)
        rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        self.usual_s = 1 / (rate_hz if 0.1 <= rate_hz <= 240 else USUAL_RATE_HZ)
        """Between two pictures, as the file says."""
        self.at_s = 0.0
        self._first_ms: float | None = None
        self._aspect = _pixel_aspect(self._capture)

    def advance(self) -> bool:
        """Reads the next picture; False at the end. Raises SourceError when the first one cannot be read."""
        import cv2

        if not self._capture.grab():
            if self._first_ms is None:
                raise why_not(self._path)
            return False
        at_ms = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        if self._first_ms is None:
            self._first_ms = at_ms
            return True
        at_s = (at_ms - self._first_ms) / 1000
        self.at_s = at_s if at_s > self.at_s else self.at_s + self.usual_s  # times that are missing or go back
        return True

    def picture(self) -> Rgb:
        """The picture that `advance` has read, [H, W, 3]."""
        import cv2

        good, bgr = self._capture.retrieve()
        if not good:
            raise SourceError(
                SourceEventKind.MISSING, f"{self._path} has a picture that cannot be decoded.", "Copy or save it again."
            )
        height, width = bgr.shape[:2]
        if self._aspect > 1.001:
            bgr = cv2.resize(bgr, (max(1, round(width * self._aspect)), height), interpolation=cv2.INTER_LINEAR)
        elif self._aspect < 0.999:
            bgr = cv2.resize(bgr, (width, max(1, round(height / self._aspect))), interpolation=cv2.INTER_LINEAR)
        return from_bgr(bgr)

    def close(self) -> None:
        self._capture.release()


def _pixel_aspect(capture: Any) -> float:
    """Width of a pixel over its height; 1 where the file does not say."""
    import cv2

    wide, high = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    return float(wide / high) if wide > 0 and high > 0 and 0.1 <= wide / high <= 10 else 1.0


def why_not(path: Path) -> SourceError:
    """The true cause why a file cannot be played."""
    try:
        head, tail = _ends(path)
    except OSError as error:
        return SourceError(
            SourceEventKind.DENIED, f"{path} cannot be read: {error.strerror}.", "Check who may read it."
        )
    if not head:
        return SourceError(SourceEventKind.MISSING, f"{path} is empty: it has no bytes in it.", "Copy it again.")
    kind = kind_of(head[:HEAD_BYTES])
    if kind not in VIDEOS and kind != "GIF":
        what = f"is {kind}, not" if kind.startswith("a") else "is not"
        return SourceError(
            SourceEventKind.MISSING,
            f"{path} {what} a picture or a video that can be shown.",
            "Use a JPEG, PNG, WebP or HEIC picture, or an MP4, MKV or WebM video.",
        )
    coding = _coding(head + tail)
    if coding and coding != "H.264":
        return SourceError(
            SourceEventKind.MISSING,
            f"{path} is a video in {coding}, which cannot be decoded here.",
            f"Convert it: ffmpeg -i {path.name} -c:v libx264 converted.mp4",
        )
    return SourceError(
        SourceEventKind.MISSING,
        f"{path} is a damaged {kind} video: no picture in it can be read.",
        "Copy or save it again.",
    )


def _ends(path: Path) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(SEARCHED_BYTES)
        file.seek(max(len(head), path.stat().st_size - SEARCHED_BYTES))
        return head, file.read(SEARCHED_BYTES)


def _coding(data: bytes) -> str:
    for marks, name in _CODINGS:
        if any(mark.encode() in data for mark in marks):
            return name
    return ""
