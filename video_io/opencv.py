"""OpenCV with this package's types, imported when first needed (it takes 0.1–0.3 s)."""

from __future__ import annotations

import os
from typing import Any

from video_io.frames import Rgb, SourceError, SourceEventKind


def from_bgr(bgr: Any) -> Rgb:
    """OpenCV's order of colours into ours. Raises SourceError when a driver or file gives something else."""
    import cv2

    try:
        rgb: Any = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    except cv2.error as error:
        raise SourceError(SourceEventKind.LOST, "It gave a picture in a form that cannot be read.") from error
    return rgb  # type: ignore[no-any-return]  # OpenCV's stubs say only "array of numbers"


def shrink(rgb: Rgb, width: int, height: int) -> Rgb:
    """Averages areas, so that noise goes down and nothing flickers."""
    import cv2

    small: Any = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return small  # type: ignore[no-any-return]


def quiet_capture(source: int | str, backend: int | None = None) -> Any:
    """A cv2.VideoCapture, opened or not, that writes no warnings to stderr: a missing device is our message."""
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.setNumThreads(1)  # its other threads spin for their next work, which costs more than they save here
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2.VideoCapture(source, cv2.CAP_ANY if backend is None else backend)
