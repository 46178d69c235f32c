"""Sources with real files, a real network camera and, where there is a display, a real screen."""

from __future__ import annotations

import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.video_io.pictures import desk, numbered, write_video
from video_io.camera import CameraGrabber
from video_io.files import Clip, VideoFileGrabber, read_picture
from video_io.frames import Frame, FrameSource, Rgb, SourceError, SourceEvent, SourceEventKind
from video_io.source import ThreadedSource
from video_io.sources import list_cameras, open_source


class Watcher:
    """Collects what a source gives; waits by queue, never by sleeping."""

    def __init__(self, source: FrameSource) -> None:
        self.source = source
        self.frames: queue.Queue[Frame] = queue.Queue()
        self.events: queue.Queue[SourceEvent] = queue.Queue()
        source.start(self.frames.put, self.events.put)

    def event(self, kind: SourceEventKind, timeout_s: float = 20) -> SourceEvent:
        until_s = time.monotonic() + timeout_s
        while True:
            event = self.events.get(timeout=max(0.01, until_s - time.monotonic()))
            if event.kind is kind:
                return event


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("pictures:")] == []


def test_importing_has_no_side_effects() -> None:
    check = "import sys, video_io.sources, video_io.selector, video_io.sizing; assert 'cv2' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)


def test_a_video_plays_at_its_own_pace_and_repeats(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", numbered(10), rate_hz=50)
    watcher = Watcher(open_source(str(path)))
    frames = [watcher.frames.get(timeout=10) for _ in range(25)]
    watcher.source.stop()
    assert [frame.number for frame in frames] == list(range(25))
    assert [round(float(frame.rgb.mean()) / 10) for frame in frames] == [n % 10 for n in range(25)]
    # Real-time pacing means never faster; how much slower depends on the machine.
    assert frames[-1].at_s - frames[0].at_s >= 24 / 50 - 0.02


@pytest.mark.parametrize(("n_pictures", "numbers"), [(10, [0, 4, 8, 2, 6, 0]), (3, [0, 1, 2, 0, 1, 2])])
def test_a_video_passes_over_what_nobody_needs_and_keeps_its_pace(
    tmp_path: Path, n_pictures: int, numbers: list[int]
) -> None:
    source = open_source(str(write_video(tmp_path / "clip.avi", numbered(n_pictures), rate_hz=50)))
    source.set_spacing(0.08)
    watcher = Watcher(source)
    frames = [watcher.frames.get(timeout=10) for _ in range(6)]
    source.stop()
    assert [round(float(frame.rgb.mean()) / 10) for frame in frames] == numbers
    assert frames[-1].at_s - frames[0].at_s >= 5 * 0.08 - 0.02


def test_a_video_that_does_not_repeat_ends_with_an_event_and_keeps_its_last_picture(tmp_path: Path) -> None:
    source = open_source(str(write_video(tmp_path / "clip.avi", numbered(3))), repeat=False)
    watcher = Watcher(source)
    watcher.event(SourceEventKind.ENDED)
    latest = source.latest()
    assert latest is not None
    assert latest.number == 2
    source.stop()
    source.stop()


def test_a_missing_file_is_reported_once_and_found_when_it_appears(tmp_path: Path) -> None:
    path = tmp_path / "late.avi"
    watcher = Watcher(ThreadedSource(VideoFileGrabber(path), retry_s=0.02))
    missing = watcher.event(SourceEventKind.MISSING)
    assert str(path) in missing.message
    assert missing.remedy
    write_video(tmp_path / "made.avi", numbered(5)).rename(path)
    watcher.event(SourceEventKind.OPENED)
    watcher.source.stop()
    assert watcher.events.empty()  # the many tries in between said nothing


class Unplugged:
    """A camera whose cable the test pulls: the one thing that no test machine has."""

    label, is_camera, interval_s, spacing_s = "test camera", True, 0.0, 0.0

    def __init__(self) -> None:
        self.plugged = threading.Event()
        self.n_open = 0

    def open(self) -> None:
        self.n_open += 1
        if not self.plugged.is_set():
            raise SourceError(SourceEventKind.MISSING, "not there", "plug it in")

    def grab(self) -> Rgb | None:
        if not self.plugged.is_set():
            raise SourceError(SourceEventKind.LOST, "gone", "plug it in")
        time.sleep(0.002)
        return np.zeros((4, 4, 3), np.uint8)

    def close(self) -> None:
        pass


def test_loss_and_return_are_events_and_numbers_go_on() -> None:
    grabber = Unplugged()
    grabber.plugged.set()
    watcher = Watcher(ThreadedSource(grabber, retry_s=0.01))
    watcher.event(SourceEventKind.OPENED)
    before = watcher.frames.get(timeout=5).number
    grabber.plugged.clear()
    assert watcher.event(SourceEventKind.LOST).remedy == "plug it in"
    assert watcher.source.latest() is None
    grabber.plugged.set()
    watcher.event(SourceEventKind.OPENED)
    watcher.source.stop()
    last = watcher.source.latest()
    assert last is not None
    assert last.number > before


def test_stopping_while_missing_is_quick() -> None:
    watcher = Watcher(ThreadedSource(Unplugged(), retry_s=60))
    watcher.event(SourceEventKind.MISSING)
    started_s = time.monotonic()
    watcher.source.stop()
    assert time.monotonic() - started_s < 1


def test_a_hanging_driver_does_not_hold_up_quitting() -> None:
    release = threading.Event()

    class Hanging(Unplugged):
        def grab(self) -> Rgb | None:
            release.wait(30)
            return None

    grabber = Hanging()
    grabber.plugged.set()
    source = ThreadedSource(grabber)
    watcher = Watcher(source)
    started_s = time.monotonic()
    source.stop(timeout_s=0.2)
    assert time.monotonic() - started_s < 2
    release.set()
    source.stop()
    assert watcher.frames.empty()


@pytest.mark.skipif(Path("/dev/video0").exists(), reason="this machine has a camera")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="opens the real camera elsewhere")
def test_no_camera_is_a_message_with_a_remedy() -> None:
    watcher = Watcher(open_source("camera:0"))
    event = watcher.event(SourceEventKind.MISSING)
    watcher.source.stop()
    assert "no camera" in event.message
    assert "Plug a camera in" in event.remedy
    assert list_cameras() == []


def _network_camera(port: int) -> subprocess.Popen[bytes]:
    """A real streaming camera: MJPEG over HTTP, in real time."""
    command = ["ffmpeg", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=30"]
    command += ["-f", "mpjpeg", "-listen", "1", f"http://127.0.0.1:{port}/cam.mjpg"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg plays the camera")
def test_a_real_stream_is_lost_when_it_dies_and_comes_back() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    camera = _network_camera(port)
    watcher = Watcher(ThreadedSource(CameraGrabber(f"http://127.0.0.1:{port}/cam.mjpg"), retry_s=0.1))
    try:
        watcher.event(SourceEventKind.OPENED)
        frames = [watcher.frames.get(timeout=10) for _ in range(6)]
        assert frames[0].rgb.shape == (240, 320, 3)
        camera.kill()
        camera.wait(5)
        watcher.event(SourceEventKind.LOST)
        camera = _network_camera(port)
        watcher.event(SourceEventKind.OPENED)
    finally:
        watcher.source.stop(10)
        camera.kill()
        camera.wait(5)


@pytest.mark.slow
def test_pictures_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "Bilder äöü"
    folder.mkdir()
    for number, rgb in enumerate([desk(1, height=60, width=80), desk(2, height=60, width=80)]):
        good, png = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        assert good
        (folder / f"{number}.png").write_bytes(png.tobytes())
    (folder / "notes.txt").write_text("not a picture")
    assert np.array_equal(read_picture(folder / "0.png"), desk(1, height=60, width=80))
    watcher = Watcher(open_source(str(folder)))
    assert np.array_equal(watcher.frames.get(timeout=5).rgb, desk(1, height=60, width=80))
    assert np.array_equal(watcher.frames.get(timeout=5).rgb, desk(2, height=60, width=80))
    watcher.source.stop()


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n broken"])
def test_broken_files_have_messages(tmp_path: Path, content: bytes) -> None:
    for name in ("broken.png", "broken.mp4"):
        (tmp_path / name).write_bytes(content)
        watcher = Watcher(open_source(str(tmp_path / name)))
        assert name in watcher.event(SourceEventKind.MISSING).message
        watcher.source.stop()
        with pytest.raises(SourceError, match=name):
            Clip(tmp_path / name)


def test_a_clip_by_time_is_exact_and_stays_on_its_last_picture(tmp_path: Path) -> None:
    clip = Clip(write_video(tmp_path / "clip.avi", numbered(10), rate_hz=10))
    seen = [round(float(clip.frame_at(at_s).rgb.mean()) / 10) for at_s in (0.0, 0.05, 0.1, 0.35, 0.9, 7.0)]
    clip.close()
    assert seen == [0, 0, 1, 3, 9, 9]


@pytest.mark.parametrize("choice", ["region:", "region:1,2,3", "region:0,0,0,5", "region:a,b,c,d"])
def test_malformed_regions_are_named(choice: str) -> None:
    with pytest.raises(ValueError, match="region"):
        open_source(choice)


@pytest.mark.parametrize("choice", ["", "camera:", "camera:first", "screen:-1"])
def test_malformed_choices_are_named(choice: str) -> None:
    with pytest.raises(ValueError, match="picture source"):
        open_source(choice)
