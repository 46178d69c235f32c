"""Video files, pictures and folders of pictures: as live sources, or read by time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from video_io.frames import Frame, Rgb, SourceError, SourceEventKind
from video_io.opencv import from_bgr, quiet_capture

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".gif"})
STILL_INTERVAL_S = 0.5  # a still is offered again, so that "now" always has a picture
FOLDER_INTERVAL_S = 2.0  # each picture of a folder stands this long


def read_picture(path: Path) -> Rgb:
    """Reads one picture file as RGB [H, W, 3]. Raises SourceError(MISSING) with a message for people."""
    import cv2
    import numpy as np

    if not path.is_file():
        raise SourceError(SourceEventKind.MISSING, f"There is no picture {path}.", "Check the path.")
    # imdecode, not imread: imread cannot open paths beyond ASCII on Windows.
    bgr = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
    if bgr is None:
        raise SourceError(
            SourceEventKind.MISSING, f"{path} is not a picture that can be read.", "Use a JPEG, PNG or WebP file."
        )
    return from_bgr(bgr)


def pictures_in(folder: Path) -> list[Path]:
    """The folder's picture files by name. Raises SourceError(MISSING) when there is none."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise SourceError(
            SourceEventKind.MISSING,
            f"The folder {folder} has no pictures in it.",
            f"Put pictures there ({', '.join(sorted(PICTURE_SUFFIXES))}).",
        )
    return found


class PictureGrabber:
    """A picture file, or a folder whose pictures follow each other; the last one stays."""

    spacing_s = 0.0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.interval_s = STILL_INTERVAL_S
        self._pictures: list[Path] = []
        self._shown = 0
        self._still: Rgb | None = None

    @property
    def label(self) -> str:
        return self.path.name

    def open(self) -> None:
        if not self.path.exists():
            raise SourceError(SourceEventKind.MISSING, f"There is no {self.path}.", "Choose another file.")
        self._pictures = pictures_in(self.path) if self.path.is_dir() else [self.path]
        self.interval_s = FOLDER_INTERVAL_S if len(self._pictures) > 1 else STILL_INTERVAL_S
        self._shown = 0

    def grab(self) -> Rgb | None:
        if self._shown < len(self._pictures):
            self._still = read_picture(self._pictures[self._shown])
            self._shown += 1
        return self._still

    def close(self) -> None:
        self._still = None


class VideoFileGrabber:
    """A video file at its own pace. With `repeat` it starts over at its end, as a camera never ends.

    Pictures closer together than `spacing_s` are passed over: they are read, because the later ones build on them, but
    not turned into pictures of ours, which costs more.
    """

    spacing_s = 0.0

    def __init__(self, path: Path, *, repeat: bool = True) -> None:
        self.path = path
        self.repeat = repeat
        self._picture_s = 1 / 25
        self._capture: Any = None
        self._has_shown = False

    @property
    def label(self) -> str:
        return self.path.name

    @property
    def interval_s(self) -> float:
        return self._step * self._picture_s

    @property
    def _step(self) -> int:
        """Pictures of the file from one of ours to the next."""
        return max(1, round(self.spacing_s / self._picture_s))

    def open(self) -> None:
        self._capture, rate_hz = _open_video(self.path)
        self._picture_s = 1 / rate_hz

    def grab(self) -> Rgb | None:
        good, bgr = False, None
        if self._advance(self._step if self._has_shown else 1):
            good, bgr = self._capture.retrieve()
        if not good and not self._has_shown:
            raise SourceError(
                SourceEventKind.MISSING, f"{self.path} has no picture in it.", "Choose another video file."
            )
        self._has_shown = good
        return from_bgr(bgr) if good else None

    def _advance(self, step: int) -> bool:
        """Goes on by `step` pictures, over the end if it repeats; False at the end, and when there is none in it."""
        for _ in range(step):
            if self._capture.grab():
                continue
            if not self.repeat:
                return False
            # Reopened rather than rewound: seeking to the start fails in some containers.
            self.close()
            self.open()
            if not self._capture.grab():
                return False
        return True

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class Clip:
    """Pictures by time, for runs without a clock: a video, a picture, or a folder (one picture every 2 s).

    `frame_at` must be called with times that do not go back. Before the first and after the last picture, the nearest
    one is given, as a camera that looks at a still scene would. Single-threaded. Raises SourceError when nothing in it
    can be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise SourceError(SourceEventKind.MISSING, f"There is no {path}.", "Check the path.")
        self._capture: Any = None
        self._pictures: list[Path] = []
        if path.is_dir():
            self._pictures, self._rate_hz = pictures_in(path), 1 / FOLDER_INTERVAL_S
        elif path.suffix.lower() in PICTURE_SUFFIXES:
            self._pictures, self._rate_hz = [path], 1.0
        else:
            self._capture, self._rate_hz = _open_video(path)
        self._number = -1
        self._rgb: Rgb | None = None
        if self._read_next() is None:
            raise SourceError(SourceEventKind.MISSING, f"{path} has no picture in it.", "Choose another file.")

    def frame_at(self, at_s: float) -> Frame:
        """The picture that shows at `at_s`, stamped with that time."""
        wanted = int(at_s * self._rate_hz + 1e-9)
        while self._number < wanted and self._read_next() is not None:
            pass
        assert self._rgb is not None
        return Frame(self._rgb, at_s, self._number)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _read_next(self) -> Rgb | None:
        if self._capture is not None:
            good, bgr = self._capture.read()
            if not good:
                return None
            self._rgb = from_bgr(bgr)
        elif self._number + 1 < len(self._pictures):
            self._rgb = read_picture(self._pictures[self._number + 1])
        else:
            return None
        self._number += 1
        return self._rgb


def _open_video(path: Path) -> tuple[Any, float]:
    """An opened cv2.VideoCapture and its rate in pictures per second. Raises SourceError(MISSING)."""
    import cv2

    if not path.is_file():
        raise SourceError(SourceEventKind.MISSING, f"There is no video {path}.", "Choose another file.")
    capture = quiet_capture(str(path))
    if not capture.isOpened():
        capture.release()
        raise SourceError(
            SourceEventKind.MISSING, f"{path} is not a video that can be read.", "Use an MP4, MKV or WebM file."
        )
    rate_hz = capture.get(cv2.CAP_PROP_FPS)
    return capture, rate_hz if 0.1 <= rate_hz <= 240 else 25.0  # files without a rate say 0 or 90000
