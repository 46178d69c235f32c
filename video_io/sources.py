"""From what the user chose to a running source, and what there is to choose from.

A choice is a string, so that it can be stored and typed: `camera:0`, `screen:1`, `region:100,50,640,480` (left, top,
width and height in px of the whole display), `window:focused`, `udp://…`, `file:` and a path (or the path alone) to a
video file, a picture or a folder of pictures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from video_io.camera import CameraGrabber
from video_io.files import PictureGrabber, VideoFileGrabber, is_still
from video_io.frames import FrameSource, Grabber
from video_io.screen import Region, RegionGrabber, ScreenGrabber, WindowGrabber
from video_io.source import ThreadedSource

LISTING_TIMEOUT_S = 5.0
FOCUSED_WINDOW = "window:focused"


@dataclass(frozen=True)
class SourceChoice:
    """One entry of the picture picker: what to store, and what to show."""

    value: str
    label: str


def open_source(choice: str, *, clock: Callable[[], float] = time.monotonic, repeat: bool = True) -> FrameSource:
    """A source for a choice, not started yet; problems come as its events. Raises ValueError for a malformed choice."""
    return ThreadedSource(_grabber(choice, clock, repeat), clock=clock)


def try_source(choice: str) -> None:
    """Opens a choice, takes one picture and closes it, in the calling thread: what is wrong is known at once.

    Raises ValueError for a malformed choice, SourceError when there is no picture.
    """
    grabber = _grabber(choice, time.monotonic, repeat=False)
    try:
        grabber.open()
        grabber.grab()
    finally:
        grabber.close()


def _grabber(choice: str, clock: Callable[[], float], repeat: bool) -> Grabber:
    kind, _, rest = choice.partition(":")
    if kind in ("camera", "screen"):
        if not rest.isdigit():
            raise ValueError(f"a picture source like “{kind}:0” is expected, not “{choice}”")
        return CameraGrabber(int(rest), clock=clock) if kind == "camera" else ScreenGrabber(int(rest))
    if kind == "region":
        return RegionGrabber(Region.read(rest))
    if choice == FOCUSED_WINDOW:
        return WindowGrabber()
    if "://" in choice:
        return CameraGrabber(choice, clock=clock)
    path_text = rest if kind == "file" else choice
    if not path_text:
        raise ValueError("no picture source was given; use camera:0, screen:1, or file: and a path")
    path = Path(path_text).expanduser()
    if path.is_dir() or is_still(path):
        return PictureGrabber(path)
    return VideoFileGrabber(path, repeat=repeat)


def list_cameras() -> list[SourceChoice]:
    """The cameras, without opening one (that would light its lamp). Takes up to 5 s on macOS and Windows.

    The order on those two is the system's, which OpenCV's numbers follow in practice but not by contract.
    """
    if sys.platform.startswith("linux"):
        found = []
        for node in Path("/sys/class/video4linux").glob("video*"):
            # Each camera also has nodes for metadata; the picture is the node with index 0.
            if (node / "index").is_file() and (node / "index").read_text().strip() != "0":
                continue
            name = (node / "name").read_text().strip() if (node / "name").is_file() else node.name
            found.append((int(node.name.removeprefix("video")), name))
        return [SourceChoice(f"camera:{number}", name) for number, name in sorted(found)]
    if sys.platform == "darwin":
        command = ["system_profiler", "-json", "SPCameraDataType"]
    else:
        query = "@(Get-CimInstance Win32_PnPEntity | ? { $_.PNPClass -in 'Camera','Image' } | % Name) | ConvertTo-Json"
        command = ["powershell", "-NoProfile", "-Command", query]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=LISTING_TIMEOUT_S, check=True).stdout
        listed = json.loads(answer or "[]")
    except (OSError, subprocess.SubprocessError, json.JSONDecodeError):
        return []  # the picker still offers the first camera by number
    if isinstance(listed, dict):
        listed = [entry.get("_name", "camera") for entry in listed.get("SPCameraDataType", [])]
    names = [listed] if isinstance(listed, str) else listed
    return [SourceChoice(f"camera:{number}", str(name)) for number, name in enumerate(names)]


def list_screens() -> list[SourceChoice]:
    """The screens that can be captured; none without a display."""
    import mss
    from mss.exception import ScreenShotError

    try:
        with mss.MSS() if hasattr(mss, "MSS") else mss.mss() as capture:
            n_screens = len(capture.monitors) - 1
    except ScreenShotError:
        return []
    return [
        SourceChoice(f"screen:{n}", "The screen" if n_screens == 1 else f"Screen {n}") for n in range(1, n_screens + 1)
    ]
