"""Cameras, and network streams that OpenCV opens like cameras."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from video_io.frames import Rgb, SourceError, SourceEventKind
from video_io.opencv import from_bgr, quiet_capture

CAPTURE_WIDTH, CAPTURE_HEIGHT = 1280, 720  # enough to read a letter held before it; the driver picks its nearest
FAILED_READS_UNTIL_LOST = 5  # one bad picture is common with USB cameras; five in a row mean that it has gone


class CameraGrabber:
    """A camera by number, or a stream by URL (`udp://…`, `http://…mjpg`). `interval_s` is 0: reading waits."""

    interval_s = 0.0
    is_camera = True
    spacing_s = 0.0

    def __init__(self, device: int | str, label: str | None = None, *, clock: Callable[[], float] = time.monotonic):
        self.device = device
        self._label = label or (f"camera {device + 1}" if isinstance(device, int) else device)
        self._clock = clock
        self._capture: Any = None
        self._decoded_at_s = float("-inf")

    @property
    def label(self) -> str:
        return self._label

    def open(self) -> None:
        if isinstance(self.device, int):
            _check_linux_device(self.device, self._label)
            if sys.platform == "win32":
                # Media Foundation takes 10–60 s to open some cameras unless its hardware transforms are off.
                os.environ.setdefault("OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS", "0")
        import cv2

        backends = [cv2.CAP_ANY]
        if isinstance(self.device, int):
            backends = {
                "win32": [cv2.CAP_DSHOW, cv2.CAP_MSMF],
                "darwin": [cv2.CAP_AVFOUNDATION],
                "linux": [cv2.CAP_V4L2],
            }.get(sys.platform, [cv2.CAP_ANY])
        for backend in backends:
            capture = quiet_capture(self.device, backend)
            if capture.isOpened():
                break
            capture.release()
        else:
            raise SourceError(SourceEventKind.MISSING, f"Cannot open {self._label}.", _open_remedy(self.device))
        if isinstance(self.device, int):
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, CAPTURE_WIDTH)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, CAPTURE_HEIGHT)
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # newest wins inside the driver too
        self._capture = capture
        self._decoded_at_s = float("-inf")

    def grab(self) -> Rgb | None:
        failures = 0
        while True:
            # grab() takes a picture from the driver without decoding it, which is most of the work.
            if not self._capture.grab():
                failures += 1
                if failures >= FAILED_READS_UNTIL_LOST:
                    raise SourceError(
                        SourceEventKind.LOST,
                        f"{self._label} stopped giving pictures.",
                        "Check its cable, and whether another program uses it. It is used again as soon as it is back.",
                    )
                time.sleep(0.02)
                continue
            now_s = self._clock()
            if now_s - self._decoded_at_s < self.spacing_s:
                continue
            good, bgr = self._capture.retrieve()
            if not good:
                failures += 1
                continue
            self._decoded_at_s = now_s
            return from_bgr(bgr)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def _check_linux_device(index: int, label: str) -> None:
    """Tells a camera that is not there from one that we may not open; OpenCV says only that it failed."""
    if not sys.platform.startswith("linux"):
        return
    node = Path(f"/dev/video{index}")
    if not node.exists():
        raise SourceError(
            SourceEventKind.MISSING,
            f"There is no camera ({label}).",
            "Plug a camera in, or choose the screen or a video file as the picture. Talking works without one.",
        )
    if not os.access(node, os.R_OK | os.W_OK):
        raise SourceError(
            SourceEventKind.DENIED,
            f"Not allowed to use {label} ({node}).",
            "Add yourself to the group “video” (sudo usermod -aG video $USER), then log out and in again.",
        )


def _open_remedy(device: int | str) -> str:
    if isinstance(device, str):
        return f"Check that something sends pictures to {device}."
    if sys.platform == "darwin":
        return "Allow the camera for this program in System Settings, Privacy & Security, Camera; then choose it again."
    if sys.platform == "win32":
        return "Allow desktop apps to use the camera in Settings, Privacy, Camera; close other programs that use it."
    return "Close other programs that use the camera, or choose another picture source."
